import type { FlagValues } from "../../core/config/flags.ts";
import type { GrpcServer } from "../../core/grpc-server.ts";
import { grpcFlags, grpcOptions } from "../../core/grpc/server/grpc-flags.ts";
import type { GrpcServerOptions } from "../../core/grpc/server/server-options.ts";
import { registerFlags } from "../../core/lifecycle/lifecycle-flags.ts";
import { authFlags } from "../../core/security/auth-flags.ts";
import { tlsFlags } from "../../core/net/tls-flags.ts";
import { commonFlags } from "../../core/telemetry/telemetry.ts";
import type { HttpServerOptions } from "../http-server-options.ts";
import { httpFlags, httpOptions, onePortFlags } from "./http-flags.ts";

/** Flags of a program that serves gRPC and HTTP, on two ports or with `--port` on one. */
export const gatewayFlags = {
  ...grpcFlags,
  ...httpFlags,
  ...onePortFlags,
  ...tlsFlags,
  ...authFlags,
  ...registerFlags,
  ...commonFlags,
} as const;

/** The options of the two servers of such a program. */
export interface GatewayOptions {
  readonly grpc: Partial<GrpcServerOptions>;
  /** @param grpc the server whose services are called */
  readonly http: (grpc: GrpcServer) => Partial<HttpServerOptions> & Pick<HttpServerOptions, "upstream">;
}

/**
 * The options of a `GrpcServer` and the `HttpServer` in front of it that the flags ask for.
 *
 * @throws SetupError naming flags that contradict each other
 */
export function gatewayOptions(flags: FlagValues<typeof gatewayFlags>): GatewayOptions {
  const { port } = flags;
  const limits = {
    maxMessageBytes: flags.maxBody,
    maxSendBytes: flags.maxReply,
    defaultTimeoutMs: flags.timeout,
    maxTimeoutMs: flags.maxTimeout,
  };
  const http = httpOptions(flags);
  return {
    grpc: { ...grpcOptions(flags), ...limits, listen: port === undefined },
    http: (grpc) => ({ ...http, ...(port === undefined ? {} : { port, grpc }), upstream: grpc }),
  };
}
