import { fileFlag, hostFlag, optionalFlag, portFlag, switchFlag } from "../../config/flag-kinds.ts";
import type { FlagValues } from "../../config/flags.ts";
import { formatAddress } from "../../net/listener.ts";
import { FlagError } from "../../errors/setup-error.ts";
import { readTlsFiles } from "../../net/tls-flags.ts";
import type { ConnectionOptions } from "../../http2/connection-options.ts";
import { defaultGrpcAddress } from "../default-address.ts";

/** Flags of a gateway whose upstream is a gRPC server in another process. */
export const upstreamFlags = {
  grpcHost: hostFlag(defaultGrpcAddress.host, "--grpc-port", "Host of the gRPC server to call, or unix:PATH"),
  grpcPort: portFlag(defaultGrpcAddress.port, "Port of the gRPC server to call"),
  grpcTls: switchFlag("Call the gRPC server over TLS; implied by --grpc-ca, --grpc-cert and --grpc-key"),
  grpcCa: fileFlag(
    "CA certificates to verify the gRPC server's certificate against, instead of Node's own, PEM",
  ),
  grpcCert: fileFlag("Client certificate chain, PEM; with --grpc-key"),
  grpcKey: fileFlag("Private key of --grpc-cert, PEM"),
  grpcAuthority: optionalFlag(
    "NAME",
    "Server name to send as :authority and to verify in the gRPC server's certificate",
  ),
} as const;

/**
 * The arguments of `dial` for the upstream that the flags name.
 *
 * @throws TypeError naming the flag that is missing, or flag and file that cannot be used
 */
export function upstreamOf(flags: FlagValues<typeof upstreamFlags>): {
  readonly target: string;
  readonly options: Partial<ConnectionOptions>;
} {
  const { grpcHost: host, grpcPort: port, grpcAuthority: authority, grpcCa, grpcCert, grpcKey } = flags;
  if ((grpcCert === undefined) !== (grpcKey === undefined)) {
    throw new FlagError("--grpc-cert and --grpc-key must be given together");
  }
  const files = {
    ...readTlsFiles(flags, { ca: "grpcCa", cert: "grpcCert", key: "grpcKey" }),
    ...(authority === undefined ? {} : { serverName: authority.replace(/:\d+$/, "") }),
  };
  const tls = flags.grpcTls || [grpcCa, grpcCert, grpcKey].some((file) => file !== undefined);
  return { target: formatAddress({ host, port }), options: { tls: tls && files, authority } };
}
