import { fileFlag, optionalFlag, switchFlag } from "../../core/config/flag-kinds.ts";
import type { FlagValues } from "../../core/config/flags.ts";
import type { DialOptions } from "../../core/dial.ts";
import { FlagError } from "../../core/errors/setup-error.ts";
import { readTlsFiles } from "../../core/net/tls-flags.ts";

/** Flags of commands that call a server. */
export const targetFlags = {
  grpcTls: switchFlag("Call over TLS; implied by --grpc-ca, --grpc-cert, --grpc-key and --insecure"),
  grpcCa: fileFlag("CA certificates to verify the server's certificate against, instead of Node's own, PEM"),
  grpcCert: fileFlag("Client certificate chain, PEM; with --grpc-key"),
  grpcKey: fileFlag("Private key of --grpc-cert, PEM"),
  insecure: switchFlag("Call over TLS and accept any certificate of the server"),
  authority: optionalFlag("NAME", "Server name to send as :authority and to verify in the certificate"),
} as const;

/** The values of `targetFlags`. */
export type TargetFlagValues = FlagValues<typeof targetFlags>;

/** Certificates that flags give, and names. */
export interface TargetTls {
  readonly ca?: string | Uint8Array;
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  readonly serverName?: string;
}

/**
 * The certificates that flags name. `--insecure` is for this process, since no other code of it makes connections.
 *
 * @throws FlagError naming the flag that is missing, or flag and file that cannot be used
 */
export function targetTls(flags: TargetFlagValues): TargetTls {
  const { grpcCert, grpcKey, authority, insecure } = flags;
  if ((grpcCert === undefined) !== (grpcKey === undefined)) {
    throw new FlagError("--grpc-cert and --grpc-key must be given together");
  }
  if (insecure) process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"; // Node reads it at each connection.
  return {
    ...readTlsFiles(flags, { ca: "grpcCa", cert: "grpcCert", key: "grpcKey" }),
    ...(authority === undefined ? {} : { serverName: authority.replace(/:\d+$/, "") }),
  };
}

/** The options of `dial` that flags say. @throws FlagError as `targetTls` */
export function targetDialOptions(flags: TargetFlagValues): Partial<DialOptions> {
  const files = targetTls(flags);
  return { tls: speaksTls(flags) && files, authority: flags.authority };
}

/** Whether flags ask for TLS. */
export function speaksTls({ grpcTls, insecure, grpcCa, grpcCert, grpcKey }: TargetFlagValues): boolean {
  return grpcTls || insecure || [grpcCa, grpcCert, grpcKey].some((file) => file !== undefined);
}
