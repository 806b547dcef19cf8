import type { GrpcServerOptions } from "../core/grpc-server.ts";
import { defaultGraceMs } from "../core/lifecycle/lifecycle.ts";
import type { FaultOrigin } from "../core/lifecycle/signals.ts";
import type { HttpServerOptions } from "../gateway/http-server-options.ts";

/** Options of an `App` that is made in code; with `App.load` the configuration says them. */
export interface AppOptions {
  /** The server that methods without a name mean. Default: `http`; without such a server, the first one. */
  readonly defaultServer: string;
  /**
   * Options of every `GrpcServer` of the app that is made with the parts of `MakeServer`, and of the calls that are made
   * in this process: interceptors, observers, limits. Default: none.
   */
  readonly grpc: Partial<Omit<GrpcServerOptions, "host" | "port" | "listen">>;
  /** Options of every `HttpServer` of the app that is made with the parts of `MakeServer`. Default: none. */
  readonly http: Partial<Omit<HttpServerOptions, "host" | "port">>;
  /** As of `catchStopSignals`, for `run()`, in milliseconds. Default: 0. */
  readonly drainDelayMs: number;
  /** Grace period of calls in flight when the app stops, in milliseconds, for all servers together. Default: 15,000. */
  readonly graceMs: number;
  /** As of `catchStopSignals`, for `run()`. Default: exceptions outside of calls are written to standard error. */
  readonly onFault: ((reason: unknown, origin: FaultOrigin) => void) | undefined;
}

/** The defaults of `AppOptions`. */
export const appDefaults: AppOptions = Object.freeze({
  defaultServer: "http",
  grpc: {},
  http: {},
  drainDelayMs: 0,
  graceMs: defaultGraceMs,
  onFault: undefined,
});
