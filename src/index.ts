/** The public surface of `ts-ms`; what only some programs need has sub-paths of its own, in `entries/`. */

// Servers, and how programs stop.
export { GrpcServer, type GrpcServerOptions, type ServerTlsOptions } from "./core/grpc-server.ts";
export type { ClientCertificates, Pem } from "./core/net/tls.ts";
export type { TrustedPeers } from "./core/metadata/identity-trust.ts";
export { HttpServer } from "./gateway/http-server.ts";
export type { RpcPluginOptions } from "./gateway/fastify/fastify-plugin.ts";
export type { HttpServerOptions } from "./gateway/http-server-options.ts";
export type { HttpObserver } from "./gateway/http/http-observer.ts";
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

// Programs of a configuration.
export { App } from "./app/app.ts";
export { createSecurity, loadConfig } from "./app/on-demand.ts";
export { ConfigError } from "./core/config/loader/config-error.ts";

// Who makes a call, how logs name it, and whether it may be made.
export type { CallHead } from "./core/admission/call-head.ts";
export type { Gate } from "./core/admission/gate.ts";
export { requestId } from "./core/metadata/request-id.ts";
export { principal, requirePrincipal, type Principal } from "./core/security/principal.ts";

// Clients.
export { createClient, type CallOptions, type Client, type Transport } from "./core/call/client.ts";
export { dial, type Dialed, type DialedTransport, type DialOptions, type DialTarget } from "./core/dial.ts";

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
export { previousAttempts } from "./core/metadata/previous-attempts.ts";
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

// Observers of calls, and where exceptions are logged.
export type { CallContext } from "./core/call/context.ts";
export type { CallObserver } from "./core/call/observer.ts";
export type { FaultLogger } from "./core/call/fault-log.ts";
