import type { DescService } from "@bufbuild/protobuf";
import type { AnyService } from "../core/call/service.ts";
import { GrpcServer } from "../core/grpc-server.ts";
import type { ServerState, StopOptions, StopReport } from "../core/lifecycle/lifecycle.ts";
import type { ConnectionCounts } from "../core/net/connection-count.ts";
import type { ListenAddress } from "../core/net/listener.ts";
import { HttpServer } from "../gateway/http-server.ts";
import type { HttpServerOptions } from "../gateway/http-server-options.ts";
import type { AppOptions } from "./app-options.ts";
import type { AppServer, ServerParts } from "./app-server.ts";
import { OnePort } from "./one-port.ts";
import { reloadServer } from "./reload-server.ts";

/** What the options of other servers say of their contracts, hosts, browsers and live connections is not for this one. */
const ofItsOwn: Partial<HttpServerOptions> = {
  allowedHosts: undefined,
  awaitServices: false,
  corsOrigins: [],
  hub: undefined,
  interceptors: [],
  only: undefined,
  pages: undefined,
  rules: [],
};

/** One port with services of its own, by gRPC, REST and Connect: what is added to the servers of an app is not added to it. */
export class AdminServer implements AppServer {
  readonly name = "ADMIN";
  readonly #port: OnePort;

  constructor({ grpc, http }: ServerParts, place: ListenAddress, services: readonly AnyService[]) {
    this.#port = new OnePort(
      new GrpcServer({ ...grpc, interceptors: [], hub: undefined, listen: false }),
      (grpcSide) => new HttpServer({ ...http, ...ofItsOwn, ...place, upstream: grpcSide, grpc: grpcSide }),
    );
    for (const service of services) this.#port.addService(service);
  }

  get state(): ServerState {
    return this.#port.state;
  }

  get address(): ListenAddress | undefined {
    return this.#port.address;
  }

  get isSecure(): boolean {
    return this.#port.isSecure;
  }

  get services(): readonly DescService[] {
    return this.#port.services;
  }

  get connectionCounts(): ConnectionCounts {
    return this.#port.connectionCounts;
  }

  get features(): readonly string[] {
    return this.#port.features;
  }

  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#port.onStateChange(listener);
  }

  start(): Promise<void> {
    return this.#port.start();
  }

  describe(): string[] {
    const [first = ""] = this.#port.describe();
    return [first.replace(/^\[\w+\]/, `[${this.name}]`)];
  }

  useOptions({ grpc, http }: Pick<AppOptions, "grpc" | "http">): void {
    reloadServer(this.#port, { grpc, http: { ...http, ...ofItsOwn } });
  }

  drain(): void {
    this.#port.drain();
  }

  gracefulStop(options: StopOptions): Promise<StopReport> {
    return this.#port.gracefulStop(options);
  }
}
