/** The public surface of `ts-ms`. */

// Servers, and how programs stop.
export { GrpcServer, type GrpcServerOptions, type ServerTlsOptions } from "./core/grpc-server.ts";
export type { ClientCertificates, Pem } from "./core/net/tls.ts";
export type { TrustedPeers } from "./core/metadata/identity-trust.ts";
export { HttpServer } from "./gateway/http-server.ts";
export type { RpcPluginOptions } from "./gateway/fastify/fastify-plugin.ts";
export type { HttpServerOptions } from "./gateway/http-server-options.ts";
export type { HttpObserver } from "./gateway/http/http-observer.ts";
export type { RuleText } from "./core/http-rule/service-config.ts";
export type { ErrorBody, ErrorFormat, ErrorFormatter } from "./gateway/http/error-body.ts";
export type { ManagedServer, ServerState, StopOptions, StopReport } from "./core/lifecycle/lifecycle.ts";
export type { ListenAddress } from "./core/net/listener.ts";
export {
  addServerGracefulStop,
  catchStopSignals,
  type FaultOrigin,
  type ShutdownReport,
  type StopSignal,
  type StopSignalOptions,
} from "./core/lifecycle/signals.ts";

// Clients.
export { createClient, type CallOptions, type Client, type Transport } from "./core/call/client.ts";
export { dial, type Dialed, type DialedTransport, type DialOptions } from "./core/dial.ts";
export type { ClientTls } from "./core/net/client-tls.ts";
export type { ConnectBackoff, ConnectionOptions } from "./core/http2/connection-options.ts";
export type { ConnectionState } from "./core/http2/http2-connection.ts";
export type { ClientKeepalive } from "./core/http2/http2-session.ts";

// Services.
export {
  service,
  type MethodImpl,
  type PartialService,
  type Service,
  type ServiceImpl,
} from "./core/call/service.ts";
export { type HandlerContext } from "./core/call/context.ts";
// oxlint-disable-next-line typescript/no-deprecated -- the former name stays for users of it
export { passOn, propagate } from "./core/metadata/propagate.ts";
export { peerIdentity, peerIdentityKey, type PeerIdentity } from "./core/metadata/peer-identity.ts";
export type { Interceptor } from "./core/call/interceptors.ts";
export { metadataOnly } from "./core/metadata/metadata-only.ts";
export {
  createContextKey,
  createContextValues,
  type ContextKey,
  type ContextValues,
} from "@connectrpc/connect";

// Errors.
export { Code, ConnectError, invalidArgument, type FieldViolation } from "./core/errors/errors.ts";

// Details of errors, of google/rpc/error_details.proto.
export {
  BadRequestSchema,
  DebugInfoSchema,
  ErrorInfoSchema,
  HelpSchema,
  LocalizedMessageSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";

// Contracts at run time.
export { descriptorSetSource, protoSource, type Schema, type SchemaSource } from "./core/schema/schema.ts";
export { reflectionSource } from "./core/schema/reflection-source.ts";
export { keepLoaded, type SchemaLoaderOptions, type SchemaUpstream } from "./core/schema/schema-loader.ts";

// Logs and metrics.
export type { CallContext } from "./core/call/context.ts";
export type { CallObserver } from "./core/call/observer.ts";
export type { FaultLogger } from "./core/call/fault-log.ts";
export {
  callLog,
  createLogger,
  httpLog,
  logLevels,
  type HttpLog,
  type Logger,
  type LoggerOptions,
  type LogLevel,
} from "./core/telemetry/logger.ts";
export { Metrics, type MetricsOptions, type UnknownKind } from "./core/telemetry/metrics.ts";
export { metricList, type MetricDefinition } from "./core/telemetry/metric-list.ts";
export { Exporter, type ExporterOptions } from "./core/telemetry/exporter.ts";
export { commonFlags, createTelemetry, type Telemetry } from "./core/telemetry/telemetry.ts";

// Flags of programs.
export { helpText, parseFlags, type FlagGroup, type FlagValues } from "./core/config/flags.ts";
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
} from "./core/config/flag-kinds.ts";
export { grpcFlags, grpcOptions } from "./core/grpc/server/grpc-flags.ts";
export { upstreamFlags, upstreamOf } from "./core/grpc/client/upstream-flags.ts";
export { tlsFlags, tlsOptions } from "./core/net/tls-flags.ts";
export { httpFlags, httpOptions, onePortFlags } from "./gateway/flags/http-flags.ts";
export { schemaFlags, schemaSource } from "./core/schema/schema-flags.ts";
export { exporterFlags, startExporter } from "./core/telemetry/exporter-flags.ts";
export { logFlags } from "./core/telemetry/log-flags.ts";
export { stopFlags } from "./core/lifecycle/stop-flags.ts";
