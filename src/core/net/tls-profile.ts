import { constants } from "node:crypto";
import { createSecureContext, getCiphers, type SecureContextOptions } from "node:tls";
import { refusal, type TlsMaterial } from "./tls-material.ts";
import type { ServerTlsOptions } from "./tls-options.ts";

/**
 * Cipher suites of TLS 1.2: those of Mozilla's intermediate level (Server Side TLS 5.7) with ECDHE. Its suites with DHE
 * are left out: by them a client makes a server compute at little cost to itself (CVE-2002-20001), and every client
 * that speaks one of them speaks one with ECDHE.
 */
export const tlsSuites: readonly string[] = Object.freeze([
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
]);

const suitesOf13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/** The choices of versions, suites and groups. */
export type TlsProfile = Pick<ServerTlsOptions, "minVersion" | "ciphers" | "curves">;

/**
 * Options of a context: no renegotiation, no compression, and the client's order of suites decides, as clients know
 * best which of them their hardware computes fast.
 */
export function contextOptions(material: TlsMaterial, profile: TlsProfile): SecureContextOptions {
  const { minVersion = "1.2", ciphers = tlsSuites, curves } = profile;
  return {
    ...material,
    minVersion: `TLSv${minVersion}`,
    ciphers: [...suitesOf13, ...(minVersion === "1.3" ? [] : ciphers)].join(":"),
    ...(curves === undefined ? {} : { ecdhCurve: curves.join(":") }),
    honorCipherOrder: false,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
  };
}

/** The option of a profile that cannot be used, and why; undefined when all can be. */
export function profileFault({
  ciphers,
  curves,
}: TlsProfile): { option: string; problem: string } | undefined {
  for (const [option, list] of [
    ["ciphers", ciphers],
    ["curves", curves],
  ] as const) {
    if (list?.length === 0) return { option, problem: "it is empty; without it the default is used" };
  }
  const known = new Set(getCiphers());
  for (const suite of ciphers ?? []) {
    const problem = suiteProblem(suite, known);
    if (problem !== undefined) return { option: "ciphers", problem: `${JSON.stringify(suite)} ${problem}` };
  }
  for (const curve of curves ?? []) {
    const isName = /^\w[-\w]*$/.test(curve);
    const problem = isName ? refusal(() => createSecureContext({ ecdhCurve: curve })) : "no name";
    if (problem === undefined) continue;
    const text = `${JSON.stringify(curve)} is no group that OpenSSL knows; groups are such as "X25519" or "P-256"`;
    return { option: "curves", problem: text };
  }
  return undefined;
}

function suiteProblem(suite: string, known: ReadonlySet<string>): string | undefined {
  if (suite.startsWith("TLS_")) return "is a suite of TLS 1.3, which are always offered; leave it out";
  if (!known.has(suite.toLowerCase())) {
    return "is no cipher suite that OpenSSL knows; `openssl ciphers -tls1_2` lists their names";
  }
  return /^(?:DHE|ADH|AECDH|PSK|RSA-PSK|SRP|DHE-PSK|ECDHE-PSK)-/i.test(suite)
    ? "cannot be used here: it needs parameters or keys other than those of a certificate"
    : undefined;
}
