import type { DescService, Registry } from "@bufbuild/protobuf";
import type { AnyService } from "../core/call/service.ts";
import type { GrpcServerOptions } from "../core/grpc-server.ts";
import type { ManagedServer, ServerState } from "../core/lifecycle/lifecycle.ts";
import type { ConnectionCounts } from "../core/net/connection-count.ts";
import type { ListenAddress } from "../core/net/listener.ts";
import type { HttpServerOptions } from "../gateway/http-server-options.ts";
import type { AppOptions } from "./app-options.ts";

/**
 * A server as an `App` runs it. `GrpcServer`, `HttpServer` and `Exporter` are such servers; of another one the app uses
 * the members that it has.
 */
export interface AppServer extends ManagedServer {
  /** Begins to serve. @throws Error if it cannot */
  start(): Promise<unknown>;
  /** Where it listens; undefined while it does not. */
  readonly address?: ListenAddress | undefined;
  /** Whether it serves by TLS. */
  readonly isSecure?: boolean;
  /** The descriptors of the services that it serves. */
  readonly services?: readonly DescService[];
  readonly connectionCounts?: ConnectionCounts;
  /** What it offers, of the names of `Feature`. */
  readonly features?: readonly string[];
  /** Serves a service of the app. */
  addService?(service: AnyService): unknown;
  /** Serves other services in place of all, as `HttpServer` does. */
  replaceServices?(services: readonly DescService[], registry?: Registry): void;
  /** Calls `listener` with every new state. */
  onStateChange?(listener: (state: ServerState) => void): () => void;
  /** Takes what it can of new options while it runs. Default: `GrpcServer` and `HttpServer` reload theirs. */
  useOptions?(options: Pick<AppOptions, "grpc" | "http">): void;
  /** Whether it serves, for a server without a port that could be asked. @throws Error that says what is in the way */
  check?(): Promise<void>;
  /** Lines for the start-up message. */
  describe?(): string[];
  /** Reports itself as not serving until `resume()`; calls are still served. */
  suspend?(): void;
  resume?(): void;
}

/**
 * What an app hands to the function that makes a server, for the options of the server: without it the app counts the
 * connections of the server, but no calls.
 */
export interface ServerParts {
  /** For a `GrpcServer`. */
  readonly grpc: Partial<GrpcServerOptions>;
  /** For an `HttpServer`; the upstream is what the app serves in this process. */
  readonly http: Partial<HttpServerOptions> & Pick<HttpServerOptions, "upstream">;
}

/** Makes a server of an app, once for each start: a server that has stopped is not started again. */
export type MakeServer = (parts: ServerParts) => AppServer | Promise<AppServer>;

/** Options of `App.register`. */
export interface RegisterServerOptions {
  /** Names of the servers that are started before this one and stopped after it. Default: none. */
  readonly after?: readonly string[];
}

/** A server of an app as it is now. */
export interface ServerInfo {
  readonly name: string;
  /** `init` before its first start, `stop` after a stop. */
  readonly state: ServerState;
  /** Whether it is ready. */
  readonly isRunning: boolean;
  /** Where it listens, such as `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/app.sock`; none while it does not. */
  readonly addresses: readonly string[];
  /** Whether it serves by TLS. */
  readonly isSecure: boolean;
  /** Full names of the services that it serves. */
  readonly services: readonly string[];
}
