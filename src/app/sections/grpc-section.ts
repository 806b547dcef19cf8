import { GrpcServer, type GrpcServerOptions } from "../../core/grpc-server.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { hasGrpcPort } from "./upstream-use.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The gRPC server, on a port of its own unless there is one port for everything. */
export function open(kit: SectionKit): SectionParts {
  const { config } = kit;
  const { host, port } = config.grpc;
  let grpc = grpcOptionsOf(kit);
  return {
    get grpc() {
      return grpc;
    },
    policyOf: ({ methodKind }) => ({ deadline: methodKind === "unary" ? deadlineText(config) : "" }),
    prepare({ next }) {
      const after = grpcOptionsOf({ ...kit, config: next });
      return () => {
        grpc = after;
      };
    },
    servers: hasGrpcPort(config)
      ? [
          {
            name: "grpc",
            make: (parts) => new GrpcServer({ ...parts.grpc, host, port }),
            listens: { host, port, key: "grpc.port" },
          },
        ]
      : [],
  };
}

function grpcOptionsOf({ config, mistake, env }: SectionKit): Partial<GrpcServerOptions> {
  const { grpc, http } = config;
  const { keepalive, trustedPeers: names } = grpc;
  const everybody = names.includes("everybody");
  if (everybody && names.length > 1) {
    throw mistake("grpc.trusted_peers", '"everybody" allows no other name');
  }
  const reflection =
    grpc.enableReflection === "auto" ? env["NODE_ENV"] !== "production" : grpc.enableReflection === "true";
  return {
    reflection,
    health: grpc.health,
    defaultTimeoutMs: grpc.timeout,
    maxTimeoutMs: http.maxTimeout,
    maxMessageBytes: grpc.maxRecvMsgSize,
    maxSendBytes: grpc.maxSendMsgSize,
    trustedProxies: http.trustedProxies,
    trustedPeers: everybody ? "everybody" : names,
    ...(keepalive === undefined
      ? {}
      : {
          keepaliveTimeMs: keepalive.time,
          keepaliveTimeoutMs: keepalive.timeout,
          minPingIntervalMs: keepalive.minInterval,
          pingsWithoutCalls: keepalive.permitWithoutStream,
        }),
    maxConnectionAgeMs: grpc.maxConnectionAge ?? Infinity,
    maxConnectionAgeGraceMs: grpc.maxConnectionAgeGrace ?? Infinity,
    maxConnectionIdleMs: grpc.maxConnectionIdle ?? Infinity,
  };
}

/** The time of calls whose client states none; empty for none. */
function deadlineText({ grpc, http }: Config): string {
  const text = (ms: number): string => (ms === 0 ? "none" : `${ms} ms`);
  if (grpc.timeout !== http.timeout) return `gRPC ${text(grpc.timeout)}, HTTP ${text(http.timeout)}`;
  return grpc.timeout === 0 ? "" : text(grpc.timeout);
}
