import { readFileSync } from "node:fs";
import { fileFlag, optionalFlag, portFlag, switchFlag, textFlag } from "../flag-kinds.ts";
import type { FlagValues } from "../flags.ts";
import { formatAddress } from "../listener.ts";
import type { ConnectionOptions } from "./connection-options.ts";
import { grpcServerDefaults } from "./server-options.ts";

/** Flags of a gateway that stands in front of a gRPC server elsewhere. */
export const upstreamFlags = {
  grpcHost: textFlag("HOST", grpcServerDefaults.host, "Host of the gRPC server to call, or unix:PATH"),
  grpcPort: portFlag(grpcServerDefaults.port, "Port of the gRPC server to call"),
  grpcTls: switchFlag("Call it over TLS; any of the next three implies it"),
  grpcCa: fileFlag("Certificates of the authorities to trust instead of the usual ones, PEM"),
  grpcCert: fileFlag("Certificate chain to show, PEM; with --grpc-key"),
  grpcKey: fileFlag("Private key of that certificate, PEM"),
  grpcAuthority: optionalFlag("NAME", "Name to call it by, in its certificate and as :authority"),
} as const;

/** What `dial` needs to reach the server that the flags name. */
export function upstreamOf(flags: FlagValues<typeof upstreamFlags>): {
  readonly target: string;
  readonly options: Partial<ConnectionOptions>;
} {
  const { grpcHost: host, grpcPort: port, grpcAuthority: authority } = flags;
  const files = {
    ...read("ca", flags.grpcCa),
    ...read("cert", flags.grpcCert),
    ...read("key", flags.grpcKey),
    ...(authority === undefined ? {} : { serverName: authority.replace(/:\d+$/, "") }),
  };
  const tls =
    flags.grpcTls || [flags.grpcCa, flags.grpcCert, flags.grpcKey].some((file) => file !== undefined);
  return { target: formatAddress({ host, port }), options: { tls: tls && files, authority } };
}

function read(name: "ca" | "cert" | "key", file: string | undefined) {
  return file === undefined ? {} : { [name]: readFileSync(file) };
}
