import type { GrpcServer } from "../core/grpc-server.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ServerState,
  type StopOptions,
  type StopReport,
  sumOfReports,
} from "../core/lifecycle/lifecycle.ts";
import type { AnyService, PartialService } from "../core/call/service.ts";
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectionCounts } from "../core/net/connection-count.ts";
import type { ListenAddress } from "../core/net/listener.ts";
import type { HttpServer } from "../gateway/http-server.ts";
import type { AppServer } from "./app-server.ts";

/** One port for every protocol: an `HttpServer`, and the `GrpcServer` whose calls come in by its port, as one server. */
export class OnePort implements AppServer {
  readonly name = "HTTP";
  readonly grpc: GrpcServer;
  /** What is added to HTTP servers is added to this. */
  readonly http: HttpServer;
  readonly #lifecycle = new Lifecycle();

  /** @param grpc a server without a port of its own */
  constructor(grpc: GrpcServer, makeHttp: (grpc: GrpcServer) => HttpServer) {
    this.grpc = grpc;
    this.http = makeHttp(grpc);
  }

  /** As of the `HttpServer`: requests can be injected into it. */
  get fastify(): HttpServer["fastify"] {
    return this.http.fastify;
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  get address(): ListenAddress | undefined {
    return this.http.address;
  }

  get isSecure(): boolean {
    return this.http.isSecure;
  }

  get services(): readonly DescService[] {
    return this.http.services;
  }

  get connectionCounts(): ConnectionCounts {
    return this.http.connectionCounts;
  }

  get features(): readonly string[] {
    return [...this.http.features, ...this.grpc.features];
  }

  addService(service: AnyService): void {
    this.grpc.addService(service as PartialService<DescService>); // Its rpcs are looked up by name.
    this.http.addService(service);
  }

  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    try {
      await this.grpc.start();
      await this.http.start();
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      throw error;
    }
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
  }

  describe(): string[] {
    return [...this.http.describe(), ...this.grpc.describe()];
  }

  drain(): void {
    this.http.drain();
    this.grpc.drain();
  }

  suspend(): void {
    this.http.suspend();
    this.grpc.suspend();
  }

  resume(): void {
    this.http.resume();
    this.grpc.resume();
  }

  /** Requests of HTTP end first: the calls of gRPC on their connections are the other server's. */
  async gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    const end = performance.now() + graceMs;
    const isUp = this.state === "boot" || this.state === "listen" || this.state === "ready";
    if (isUp) this.#lifecycle.enter("graceful");
    const http = await this.http.gracefulStop({ graceMs });
    const grpc = await this.grpc.gracefulStop({ graceMs: Math.max(end - performance.now(), 0) });
    if (this.state !== "stop") this.#lifecycle.enter("stop");
    return sumOfReports([http, grpc]);
  }
}
