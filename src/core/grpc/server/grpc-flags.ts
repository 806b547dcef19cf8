import { hostFlag, listFlag, portFlag } from "../../config/flag-kinds.ts";
import type { FlagValues } from "../../config/flags.ts";
import { FlagError } from "../../errors/setup-error.ts";
import { grpcServerDefaults, type GrpcServerOptions } from "./server-options.ts";

/** Flags of a gRPC server. */
export const grpcFlags = {
  grpcHost: hostFlag(grpcServerDefaults.host, "--grpc-port", "Address to serve gRPC on"),
  grpcPort: portFlag(grpcServerDefaults.port, "Port to serve gRPC on; 0 picks a free one"),
  trustedPeer: listFlag(
    "NAME",
    "A proxy whose forwarded identity headers are trusted: a URI or DNS name of its client certificate; everybody for every client",
  ),
} as const;

/**
 * The options that the flags ask for.
 *
 * @throws FlagError naming the flag that is wrong
 */
export function grpcOptions({
  grpcHost: host,
  grpcPort: port,
  trustedPeer: names,
}: FlagValues<typeof grpcFlags>): Pick<GrpcServerOptions, "host" | "port" | "trustedPeers"> {
  const everybody = names.includes("everybody");
  if (everybody && names.length > 1) throw new FlagError("--trusted-peer everybody allows no other name");
  return { host, port, trustedPeers: everybody ? "everybody" : names };
}
