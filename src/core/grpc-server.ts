import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { DescService } from "@bufbuild/protobuf";
import type { Server } from "@grpc/grpc-js";
import { checkOptions } from "./config/check-options.ts";
import type { CallContext } from "./call/context.ts";
import { Dispatcher } from "./call/dispatcher.ts";
import { HealthService } from "./grpc/health/health.ts";
import { Http2Door } from "./grpc/server/http2-door.ts";
import { reflectionServices } from "./grpc/reflection/reflection.ts";
import { ServerEngine } from "./grpc/server/server-engine.ts";
import { grpcServerDefaults, type GrpcServerOptions } from "./grpc/server/server-options.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
  noticeAfterMs,
} from "./lifecycle/lifecycle.ts";
import { formatAddress, listen, type ListenAddress, type Listener } from "./net/listener.ts";
import { type AnyService, type PartialService, rpcName, streamsReplies } from "./call/service.ts";
import type { SessionLimits, StreamServer } from "./http2/session-limits.ts";
import { ServerTls, type ServerTlsOptions } from "./net/tls.ts";

export { grpcServerDefaults, type GrpcServerOptions, type ServerTlsOptions };

/** Time for clients to take the last bytes and hang up when everything has ended, in milliseconds. */
const farewellMs = 500;

/**
 * Serves services over gRPC: all four kinds of rpcs on a grpc-js engine, with limits on everything that a client can
 * ask for, health and reflection.
 */
export class GrpcServer implements ManagedServer, StreamServer, AsyncDisposable {
  readonly name = "GRPC";
  /** All handlers; in-process callers go straight to it. */
  readonly dispatcher: Dispatcher;
  /** The health that clients see, served unless the option `health` is off. */
  readonly health: HealthService;
  readonly #options: GrpcServerOptions;
  readonly #tls: ServerTls | undefined;
  readonly #lifecycle = new Lifecycle();
  readonly #engine: ServerEngine;
  readonly #door: Http2Door;
  readonly #services: DescService[] = [];
  readonly #boot = new AbortController();
  #listener: Listener | undefined;
  #stopped: Promise<StopReport> | undefined;

  /** @throws TypeError naming the option that cannot be used. */
  constructor(options: Partial<GrpcServerOptions> = {}) {
    checkOptions<GrpcServerOptions>("GrpcServer", options, grpcServerDefaults);
    this.#options = { ...grpcServerDefaults, ...options };
    const { tls, handshakeTimeoutMs } = this.#options;
    const use = { server: this.name, protocols: ["h2", "http/1.1"], handshakeTimeoutMs };
    this.#tls = tls === undefined ? undefined : new ServerTls(tls, use);
    this.dispatcher = new Dispatcher(this.#options);
    this.#engine = new ServerEngine(this.#options, this.dispatcher);
    this.#door = new Http2Door(handshakeTimeoutMs, (connection) => this.#engine.connect(connection));
    this.health = new HealthService(() => this.dispatcher.services.map(({ typeName }) => typeName));
    for (const service of this.#ownServices())
      this.#register(service, this.#options.interceptHealthAndReflection);
  }

  /** The grpc-js server, for what this class does not cover. It gets its connections from `start()`. */
  get engine(): Server {
    return this.#engine.server;
  }

  /**
   * Registers a service; rpcs that it does not implement answer UNIMPLEMENTED.
   *
   * @throws TypeError if a service of this name is registered already or a member named like an rpc is no function.
   */
  addService<D extends DescService>(service: PartialService<D>): this {
    this.#register(service, true);
    this.#services.push(service.descriptor);
    this.health.changed();
    return this;
  }

  /** The descriptors of the services that were added, in their order, then those of health and reflection. */
  get services(): readonly DescService[] {
    const added = new Set(this.#services);
    return [...this.#services, ...this.dispatcher.services.filter((service) => !added.has(service))];
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state; returns how to unsubscribe. */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** Where the server listens; undefined before it is bound, and without a port of its own. */
  get address(): ListenAddress | undefined {
    return this.#listener?.address;
  }

  /** How many connections of its own port are open. */
  get connections(): number {
    return this.#listener?.connections ?? 0;
  }

  /** Lines for people: what listens where, and which services are there. */
  describe(): string[] {
    const lines = this.services.map(({ typeName }) => `[${this.name}] serving ${typeName}`);
    if (this.address !== undefined)
      lines.unshift(`[${this.name}] listening on ${formatAddress(this.address)}`);
    return lines;
  }

  /**
   * Serves a stream of an HTTP/2 connection of an `HttpServer` that has this server as `grpc`; answers UNAVAILABLE
   * before `start()` and after a stop.
   */
  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void {
    if (isUp(this.state)) this.#engine.acceptStream(stream, headers, flags, rawHeaders, session);
    else this.#engine.refuseStream(stream, session);
  }

  /**
   * Binds the port, unless it has none of its own, and serves.
   *
   * @throws Error naming host, port and cause if the port cannot be bound, after which it may be tried again; Error if
   *   the server was started or stopped before, or is stopped meanwhile.
   */
  async start(): Promise<void> {
    if (this.state !== "init" && this.state !== "error") {
      throw new Error(`${this.name} cannot start: its state is "${this.state}"`);
    }
    this.#lifecycle.enter("boot");
    if (this.#options.listen) this.#listener = await this.#listen();
    const { signal } = this.#boot;
    signal.throwIfAborted(); // Who heard of the state may have stopped the server.
    this.#lifecycle.enter("listen");
    signal.throwIfAborted();
    this.#lifecycle.enter("ready");
  }

  async #listen(): Promise<Listener> {
    const { host, port } = this.#options;
    const { signal } = this.#boot;
    let listener: Listener;
    try {
      const onConnection = (socket: Socket): void => this.#door.accept(socket);
      listener = await listen({ name: this.name, host, port, tls: this.#tls, signal, onConnection });
    } catch (error) {
      if (!signal.aborted) this.#lifecycle.enter("error");
      throw error;
    }
    if (signal.aborted) {
      listener.close(); // The stop came between the bind and its news.
      listener.destroy();
      throw signal.reason;
    }
    return listener;
  }

  /** Says NOT_SERVING to everybody who asks for the health of a service; everything is still served. */
  drain(): void {
    this.health.drain();
  }

  /**
   * Stops for good: no new connections, GOAWAY to clients, calls under way may go on for the grace and are then ended
   * with UNAVAILABLE. In-process callers are served as long as network calls are. Idempotent.
   */
  gracefulStop(options: StopOptions = {}): Promise<StopReport> {
    return (this.#stopped ??= this.#stop(options.graceMs ?? defaultGraceMs));
  }

  /** Stops as `gracefulStop()` does, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gracefulStop();
  }

  async #stop(graceMs: number): Promise<StopReport> {
    this.drain();
    if (this.state === "init" || this.state === "error") {
      this.dispatcher.close();
      this.#engine.shutdown();
      this.#lifecycle.enter("stop");
      return { finished: 0, notified: [], cut: [] };
    }
    this.#lifecycle.enter("graceful");
    this.#boot.abort(new Error(`${this.name} was stopped while it was starting`));
    const before = this.#engine.inFlight;
    this.#listener?.close();
    this.#door.close();
    this.health.close();
    this.#engine.goAway();
    const noticeMs = noticeAfterMs(graceMs);
    const [told, cut] = await this.#endCalls(noticeMs, graceMs - noticeMs);
    this.dispatcher.close();
    await Promise.all([this.#listener?.disconnected(farewellMs), this.#engine.farewell(farewellMs)]);
    this.#listener?.destroy();
    this.#engine.shutdown();
    this.#lifecycle.enter("stop");
    const notified = told.filter((context) => !cut.includes(context));
    const name = ({ method }: CallContext): string => rpcName(method);
    return {
      finished: Math.max(0, before - cut.length - notified.length),
      notified: notified.map(name),
      cut: cut.map(name),
    };
  }

  /** Lets calls end, ends streams of replies after `noticeMs`, all others `lastMs` later; returns both. */
  async #endCalls(noticeMs: number, lastMs: number): Promise<readonly [CallContext[], CallContext[]]> {
    if (await within(noticeMs, this.#engine.idle())) return [[], []];
    const told = this.#engine.end(streamsReplies);
    if (await within(lastMs, this.#engine.idle())) return [told, []];
    return [told, this.#engine.end(() => true)];
  }

  /** Health and reflection, as far as they are switched on. */
  #ownServices(): AnyService[] {
    const { health, reflection } = this.#options;
    return [...(health ? [this.health] : []), ...(reflection ? reflectionServices(() => this.services) : [])];
  }

  #register(service: AnyService, intercepted: boolean): void {
    this.dispatcher.add(service, intercepted ? this.#options.interceptors : []);
    for (const method of service.descriptor.methods) this.#engine.register(method);
  }
}

/** Whether a server in this state serves what others bring it; once it stops, its engine refuses by itself. */
function isUp(state: ServerState): boolean {
  return state !== "init" && state !== "boot" && state !== "error";
}

/** Whether `work` is done within `timeoutMs`. */
async function within(timeoutMs: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false);
  });
  const done = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return done;
}
