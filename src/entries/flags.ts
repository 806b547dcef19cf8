/** `ts-ms/flags`: flags on the command lines of programs, and what is made of them. */

// Flags of programs of your own.
export { helpText, parseFlags, type FlagGroup, type FlagValues } from "../core/config/flags.ts";
export {
  choiceFlag,
  durationFlag,
  fileFlag,
  filesFlag,
  listFlag,
  optionalFlag,
  optionalPortFlag,
  pathFlag,
  portFlag,
  portOrOffFlag,
  sizeFlag,
  switchFlag,
  textFlag,
  type Flag,
} from "../core/config/flag-kinds.ts";

// Flags of servers and clients, with the options that they stand for.
export { grpcFlags, grpcOptions } from "../core/grpc/server/grpc-flags.ts";
export { httpFlags, httpOptions, onePortFlags } from "../gateway/flags/http-flags.ts";
export { faceFlags, faceOptions } from "../gateway/flags/face-flags.ts";
export { gatewayFlags, gatewayOptions, type GatewayOptions } from "../gateway/flags/gateway-flags.ts";
export { tlsFlags, tlsOptions } from "../core/net/tls-flags.ts";
export { upstreamFlags, upstreamOf } from "../core/grpc/client/upstream-flags.ts";
export { severalUpstreams } from "../gateway/flags/upstreams-flags.ts";
export { schemaFlags, schemaSource } from "../core/schema/schema-flags.ts";

export { httpProgramFlags, type HttpProgramFlags } from "../app/http-program-flags.ts";

// Flags of programs that find out who calls.
export { authFlags, flagSecurity } from "../core/security/auth-flags.ts";

// Flags of programs that know their live connections.
export { flagHub, hubFlags, type FlagHub } from "../app/hub-flags.ts";
export { HubOnDemand, type MakeHubService } from "../app/hub-on-demand.ts";

// Flags of programs that register themselves.
export { registerFlags } from "../core/lifecycle/lifecycle-flags.ts";

// Flags that every program has: log, metrics and stop.
export { commonFlags, createTelemetry, type Telemetry } from "../core/telemetry/telemetry.ts";
export { exporterFlags, startExporter } from "../core/telemetry/exporter-flags.ts";
export { logFlags } from "../core/telemetry/log-flags.ts";
export { stopFlags } from "../core/lifecycle/lifecycle-flags.ts";

// Flags of programs that serve in several processes.
export { workerFlags } from "../core/workers/worker-flags.ts";

// Flags of programs that read messages of a broker.
export { messagingFlags, messagingOptions } from "../messaging/messaging-flags.ts";
