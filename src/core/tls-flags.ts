import { choiceFlag, fileFlag } from "./flag-kinds.ts";
import type { FlagValues } from "./flags.ts";
import type { ServerTlsOptions } from "./tls.ts";
import { SetupError } from "./setup-error.ts";

/** Where programs log; a `Logger` is one. */
export interface TlsLog {
  info(about: object, message: string): void;
  error(about: object, message: string): void;
}

/** Flags of servers that speak TLS. */
export const tlsFlags = {
  tlsCert: fileFlag("Serve TLS with this certificate chain, PEM; with --tls-key; read again when it changes"),
  tlsKey: fileFlag("Private key of that certificate, PEM"),
  tlsClientCa: fileFlag("Certificates of the authorities that clients' certificates must be from, PEM"),
  tlsClient: choiceFlag(
    ["none", "optional", "required"],
    "none",
    "Whether clients present certificates; needs --tls-client-ca",
  ),
} as const;

/**
 * The TLS that the flags ask for; undefined for plain text.
 *
 * @param log hears when the files have changed, and of the error when they cannot be used.
 * @throws TypeError naming the flag that is missing
 */
export function tlsOptions(flags: FlagValues<typeof tlsFlags>, log?: TlsLog): ServerTlsOptions | undefined {
  const { tlsCert, tlsKey, tlsClientCa, tlsClient } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new SetupError("--tls-cert and --tls-key must be given together");
  }
  if (tlsClient !== "none" && tlsClientCa === undefined) {
    throw new SetupError(`--tls-client ${tlsClient} needs --tls-client-ca`);
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    if (tlsClientCa !== undefined) throw new SetupError("--tls-client-ca needs --tls-cert and --tls-key");
    return undefined;
  }
  return {
    cert: { file: tlsCert },
    key: { file: tlsKey },
    ...(tlsClientCa === undefined ? {} : { ca: { file: tlsClientCa } }),
    clientCertificates: tlsClient,
    ...(log === undefined ? {} : { onReload: (error) => tell(log, error) }),
  };
}

function tell(log: TlsLog, err: Error | undefined): void {
  if (err === undefined) log.info({}, "the TLS files have changed and are in use");
  else log.error({ err }, err.message);
}
