import {
  checkedListFlag,
  choiceFlag,
  fileFlag,
  hostFlag,
  optionalFlag,
  portFlag,
  switchFlag,
} from "../../config/flag-kinds.ts";
import type { FlagValues } from "../../config/flags.ts";
import { formatAddress } from "../../net/listener.ts";
import { FlagError } from "../../errors/setup-error.ts";
import { readTlsFiles } from "../../net/tls-flags.ts";
import type { ConnectionOptions } from "../../http2/connection-options.ts";
import { defaultGrpcAddress } from "../default-address.ts";

/** How calls are spread; the first is the default where there is a choice. */
const balances = ["p2c", "round_robin", "random", "least_request", "pick_first"] as const;

/** Flags of a gateway whose upstream is a gRPC server in another process, or several. */
export const upstreamFlags = {
  upstream: {
    ...checkedListFlag(
      "[NAME=]TARGET",
      "A service to call, such as users=consul:///users or dns:///orders:42001; several are served together by their reflection",
      whyNoUpstream,
    ),
    excludes: ["grpcHost", "grpcPort"],
  },
  discover: {
    ...optionalFlag(
      "consul:TAG|k8s:SELECTOR",
      "Serve the services with this tag in Consul, or with these labels in Kubernetes, as they come and go",
    ),
    read: catalogName,
    excludes: ["grpcHost", "grpcPort"],
  },
  balance: choiceFlag(balances, "p2c", "How the server of each call is chosen"),
  upstreamHealth: switchFlag("Call only servers whose grpc.health.v1 says that they are serving"),
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

/** The options of `dial` that flags say. */
export interface UpstreamDialOptions extends Partial<ConnectionOptions> {
  readonly name?: string;
  readonly balance?: (typeof balances)[number];
  readonly health?: boolean;
}

/** One upstream of `--upstream`. */
export interface NamedTarget {
  /** Undefined where none was given. */
  readonly name: string | undefined;
  readonly target: string;
}

/** The parts of a value of `--upstream`; a `=` of the target itself comes behind a character that no name has. */
export function namedTarget(text: string): NamedTarget {
  const [, name, target = text] = /^([A-Za-z][\w.-]*)=(.*)$/s.exec(text) ?? [];
  return { name, target };
}

function whyNoUpstream(text: string): string | undefined {
  return namedTarget(text).target === "" ? "must be TARGET or NAME=TARGET" : undefined;
}

function catalogName(text: string): string {
  if (!/^(?:consul:.|k8s:)/s.test(text)) throw new Error("must be consul:TAG or k8s:SELECTOR");
  return text;
}

/**
 * The arguments of `dial` for the one upstream that the flags name, or its options for each of several.
 *
 * @throws TypeError naming the flag that is missing, or flag and file that cannot be used
 */
export function upstreamOf(flags: FlagValues<typeof upstreamFlags>): {
  readonly target: string;
  readonly options: UpstreamDialOptions;
} {
  const { grpcHost: host, grpcPort: port, grpcAuthority: authority, grpcCa, grpcCert, grpcKey } = flags;
  if ((grpcCert === undefined) !== (grpcKey === undefined)) {
    throw new FlagError("--grpc-cert and --grpc-key must be given together");
  }
  const files = {
    ...readTlsFiles(flags, { ca: "grpcCa", cert: "grpcCert", key: "grpcKey" }),
    ...(authority === undefined ? {} : { serverName: authority.replace(/:\d+$/, "") }),
  };
  const [only] = flags.upstream.map(namedTarget);
  const spread = {
    ...(flags.given.has("balance") && { balance: flags.balance }),
    ...(flags.upstreamHealth && { health: true }),
    ...(only?.name !== undefined && { name: only.name }),
  };
  const tls = flags.grpcTls || [grpcCa, grpcCert, grpcKey].some((file) => file !== undefined);
  const target = only?.target ?? formatAddress({ host, port });
  return { target, options: { tls: tls && files, authority, ...spread } };
}
