import { readFileSync } from "node:fs";
import { choiceFlag, fileFlag } from "../config/flag-kinds.ts";
import { toFlagName, type FlagValues } from "../config/flags.ts";
import { FlagError } from "../errors/setup-error.ts";
import { fileProblem, tlsParts, tlsProblem, type TlsMaterial, type TlsPart } from "./tls-material.ts";
import type { ServerTlsOptions } from "./tls.ts";

/** The log of a program; a `Logger` is one. */
export interface TlsLog {
  info(about: object, message: string): void;
  warn(about: object, message: string): void;
  error(about: object, message: string): void;
}

/** Flags of servers that speak TLS. */
export const tlsFlags = {
  tlsCert: fileFlag(
    "Serve TLS with this certificate chain, PEM; with --tls-key; reloaded when the file changes",
  ),
  tlsKey: fileFlag("Private key of --tls-cert, PEM"),
  tlsClientCa: fileFlag("CA certificates to verify client certificates against, PEM"),
  tlsClient: choiceFlag(
    ["none", "optional", "required"],
    "none",
    "Whether client certificates are requested (optional) or required; needs --tls-client-ca",
  ),
} as const;

/**
 * The TLS that the flags ask for; undefined for plain text.
 *
 * @param log receives a warning when `--tls-client-ca` has no effect, a line for each reload of the files, and the
 *   error when changed files cannot be used. Default: warnings of the process.
 * @throws TypeError naming the flag that is missing, or flag and file that cannot be used
 */
export function tlsOptions(flags: FlagValues<typeof tlsFlags>, log?: TlsLog): ServerTlsOptions | undefined {
  const { tlsCert, tlsKey, tlsClientCa, tlsClient, given } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new FlagError("--tls-cert and --tls-key must be given together");
  }
  if (tlsClient !== "none" && tlsClientCa === undefined) {
    throw new FlagError(`--tls-client ${tlsClient} needs --tls-client-ca`);
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    if (tlsClientCa !== undefined) throw new FlagError("--tls-client-ca needs --tls-cert and --tls-key");
    return undefined;
  }
  readTlsFiles(flags, { cert: "tlsCert", key: "tlsKey", ca: "tlsClientCa" });
  if (tlsClientCa !== undefined && !given.has("tlsClient")) {
    const text =
      "no client certificate is requested: --tls-client-ca needs --tls-client required or optional";
    if (log === undefined) process.emitWarning(text);
    else log.warn({}, text);
  }
  return {
    cert: { file: tlsCert },
    key: { file: tlsKey },
    ...(tlsClientCa === undefined ? {} : { ca: { file: tlsClientCa } }),
    clientCertificates: tlsClient,
    ...(log === undefined
      ? {}
      : {
          onReload: (error) => logReload(log, error),
          onWarning: (text) => log.warn({}, text),
        }),
  };
}

/**
 * Keys and certificates of the files that flags name.
 *
 * @param flags the values of the flags by their names in code, each the path of a file or undefined
 * @param names the name in code of the flag of each part
 * @throws TypeError naming flag and file that cannot be read or used
 */
export function readTlsFiles<N extends string>(
  flags: Readonly<Record<N, string | undefined>>,
  names: Readonly<Partial<Record<TlsPart, N>>>,
): TlsMaterial {
  const nameOf = (part: TlsPart): string => {
    const name = names[part];
    return name === undefined ? part : `--${toFlagName(name)} ${flags[name]}`;
  };
  const material: TlsMaterial = {};
  for (const part of tlsParts) {
    const name = names[part];
    const file = name === undefined ? undefined : flags[name];
    if (file === undefined) continue;
    try {
      material[part] = readFileSync(file);
    } catch (cause) {
      throw new FlagError(`${nameOf(part)}: ${fileProblem(cause)}`, { cause });
    }
  }
  const problem = tlsProblem(material, nameOf);
  if (problem !== undefined) throw new FlagError(problem);
  return material;
}

function logReload(log: TlsLog, err: Error | undefined): void {
  if (err === undefined) log.info({}, "TLS files reloaded");
  else log.error({ err }, err.message);
}
