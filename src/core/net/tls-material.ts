import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";

/** The parts of TLS that are PEM: private key, certificate chain, authorities, lists of revoked certificates. */
export const tlsParts = ["key", "cert", "ca", "crl"] as const;

/** A part of TLS that is PEM. */
export type TlsPart = (typeof tlsParts)[number];

/** Keys and certificates, PEM. */
export type TlsMaterial = { [K in TlsPart]?: string | Buffer };

/** Why a part cannot be used. */
export interface TlsFault {
  readonly part: TlsPart;
  readonly problem: string;
}

/**
 * The problem of keys and certificates, as a text that names the part; undefined when all of them can be used.
 *
 * @param nameOf the name of a part in messages, for example `--tls-cert /etc/cert.pem`
 */
export function tlsProblem(material: TlsMaterial, nameOf: (part: TlsPart) => string): string | undefined {
  const fault = tlsFault(material, nameOf);
  return fault === undefined ? undefined : `${nameOf(fault.part)}: ${fault.problem}`;
}

/**
 * The first fault of keys and certificates; undefined when all of them can be used.
 *
 * Node accepts a file of authorities without any certificate, and ignores those behind a broken one: such a server
 * would start and refuse all its clients.
 *
 * @param nameOf as for `tlsProblem`, for the certificate that a key does not fit
 */
export function tlsFault(material: TlsMaterial, nameOf: (part: TlsPart) => string): TlsFault | undefined {
  const { key, cert, ca, crl } = material;
  for (const [part, problem] of [
    ["cert", cert === undefined ? undefined : certificateProblem(cert)],
    ["key", key === undefined ? undefined : keyProblem(key)],
    ["ca", ca === undefined ? undefined : certificateProblem(ca)],
  ] as const) {
    if (problem !== undefined) return { part, problem };
  }
  if (key !== undefined && cert !== undefined && !isKeyOf(key, cert)) {
    return { part: "key", problem: `this is not the private key of ${nameOf("cert")}` };
  }
  for (const [part, pem] of [
    ["cert", cert],
    ["key", key],
    ["crl", crl],
  ] as const) {
    const problem = pem === undefined ? undefined : refusal(() => createSecureContext({ [part]: pem }));
    if (problem !== undefined) return { part, problem };
  }
  return undefined;
}

/** The certificates of a PEM text that `tlsFault` has accepted, in its order. */
export function certificatesOf(pem: string | Buffer): X509Certificate[] {
  return certificateBlocks(textOf(pem)).map((block) => new X509Certificate(block));
}

/** Why a file cannot be read, in a few words. */
export function fileProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return fileProblems[code] ?? (error instanceof Error ? error.message : String(error));
}

const fileProblems: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EISDIR: "this is a folder, not a file",
  EACCES: "the file cannot be read: permission denied",
};

/** Blocks of PEM that hold certificates; OpenSSL checks its own kind, with trust settings. */
const certificateBlock = /-----BEGIN (?:X509 )?CERTIFICATE-----[^]*?-----END (?:X509 )?CERTIFICATE-----/g;
const anyCertificate = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/;
const anyKey = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/;
const encryptedKey = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

function certificateProblem(pem: string | Buffer): string | undefined {
  const text = textOf(pem);
  if (!anyCertificate.test(text))
    return lacks("certificate", text, anyKey.test(text) ? "a private key" : undefined);
  for (const [index, block] of certificateBlocks(text).entries()) {
    const problem = refusal(() => new X509Certificate(block));
    if (problem !== undefined) return `certificate ${index + 1} in it is broken (${problem})`;
  }
  return undefined;
}

function keyProblem(pem: string | Buffer): string | undefined {
  const text = textOf(pem);
  if (encryptedKey.test(text)) {
    return "the private key is encrypted; decrypt it with `openssl pkey -in FILE -out DECRYPTED`";
  }
  if (!anyKey.test(text)) {
    return lacks("private key", text, anyCertificate.test(text) ? "a certificate" : undefined);
  }
  const problem = refusal(() => createPrivateKey(pem));
  return problem === undefined ? undefined : `the private key in it is broken (${problem})`;
}

/** Whether `key` is the private key of the first certificate; Node itself does not compare keys of two kinds. */
function isKeyOf(key: string | Buffer, cert: string | Buffer): boolean {
  const [block] = certificateBlocks(textOf(cert));
  return block === undefined || new X509Certificate(block).checkPrivateKey(createPrivateKey(key));
}

function certificateBlocks(text: string): string[] {
  return [...text.matchAll(certificateBlock)].map(([block]) => block);
}

function textOf(pem: string | Buffer): string {
  return typeof pem === "string" ? pem : pem.toString("latin1");
}

function lacks(wanted: string, text: string, instead: string | undefined): string {
  if (text.trim() === "") return "it is empty";
  return `it holds ${instead === undefined ? "" : `${instead} and `}no ${wanted} in PEM form`;
}

/** The reason for which `attempt` throws, as OpenSSL words it; undefined when it succeeds. */
export function refusal(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) return String(error);
    return "reason" in error ? String(error.reason) : error.message;
  }
}
