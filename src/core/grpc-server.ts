import type { TlsOptions } from "node:tls";
import { fromBinary, type DescMethod, type DescService, type Message } from "@bufbuild/protobuf";
import {
  Server as Engine,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
} from "@grpc/grpc-js";
import { Dispatcher } from "./dispatcher.ts";
import { Code, ConnectError } from "./errors.ts";
import type { Handler } from "./handler.ts";
import { OpenCalls } from "./grpc/open-calls.ts";
import { HealthService } from "./grpc/health.ts";
import { reflectionServices } from "./grpc/reflection.ts";
import { RequestGuard } from "./grpc/request-guard.ts";
import { runCall } from "./grpc/run-call.ts";
import type { CallEnvironment } from "./grpc/server-call.ts";
import {
  grpcServerDefaults,
  toEngineOptions,
  toTlsOptions,
  type GrpcServerOptions,
  type ServerTlsOptions,
} from "./grpc/server-options.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "./lifecycle.ts";
import { formatAddress, listen, type ListenAddress, type Listener } from "./listener.ts";
import { rpcName, type AnyService, type PartialService } from "./service.ts";

export { grpcServerDefaults, type GrpcServerOptions, type ServerTlsOptions };

/** Time for clients to take the last bytes and hang up when everything has ended, in milliseconds. */
const farewellMs = 500;

/**
 * Serves services over gRPC: all four kinds of rpcs on a grpc-js engine, with limits on everything that a client can
 * ask for, health and reflection.
 */
export class GrpcServer implements ManagedServer {
  readonly name = "GRPC";
  /** The grpc-js server, for what this class does not cover. It is bound by `start()` only. */
  readonly engine: Engine;
  /** All handlers; in-process callers go straight to it. */
  readonly dispatcher: Dispatcher;
  /** The health that clients see, served unless the option `health` is off. */
  readonly health: HealthService;
  readonly #options: GrpcServerOptions;
  readonly #tls: TlsOptions | undefined;
  readonly #lifecycle = new Lifecycle();
  readonly #guard: RequestGuard;
  readonly #environment: CallEnvironment;
  readonly #handlers = new Map<string, Handler>();
  readonly #services: DescService[] = [];
  readonly #boot = new AbortController();
  #listener: Listener | undefined;
  #stopped: Promise<StopReport> | undefined;

  /** @throws TypeError if the option `tls` cannot be used. */
  constructor(options: Partial<GrpcServerOptions> = {}) {
    this.#options = { ...grpcServerDefaults, ...options };
    const { tls, handshakeTimeoutMs } = this.#options;
    this.#tls = tls === undefined ? undefined : toTlsOptions(tls, handshakeTimeoutMs);
    this.dispatcher = new Dispatcher(this.#options);
    this.engine = new Engine({
      ...toEngineOptions(this.#options),
      interceptors: [({ path }, call) => this.#accept(path, call)],
    });
    this.#guard = new RequestGuard(this.engine, this.#options, (path) => this.#handlers.has(path));
    this.#environment = {
      dispatcher: this.dispatcher,
      defaultTimeoutMs: this.#options.defaultTimeoutMs,
      maxSendBytes: this.#options.maxSendBytes,
      compressionThresholdBytes: this.#options.compressReplies
        ? this.#options.compressionThresholdBytes
        : undefined,
      calls: new OpenCalls(),
    };
    this.health = new HealthService(() => this.dispatcher.services.map(({ typeName }) => typeName));
    if (this.#options.health) this.#register(this.health);
    if (this.#options.reflection) {
      for (const service of reflectionServices(() => this.services)) this.#register(service);
    }
  }

  /**
   * Registers a service; rpcs that it does not implement answer UNIMPLEMENTED.
   *
   * @throws TypeError if a service of this name is registered already or a member named like an rpc is no function.
   */
  addService<D extends DescService>(service: PartialService<D>): this {
    this.#register(service);
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

  /** Where the server listens; undefined before it is bound. */
  get address(): ListenAddress | undefined {
    return this.#listener?.address;
  }

  /** How many connections are open. */
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
   * Binds the port and serves.
   *
   * @throws Error naming host, port and cause if the port cannot be bound, after which it may be tried again; Error if
   *   the server was started or stopped before, or is stopped meanwhile.
   */
  async start(): Promise<void> {
    if (this.state !== "init" && this.state !== "error") {
      throw new Error(`${this.name} cannot start: its state is "${this.state}"`);
    }
    this.#lifecycle.enter("boot");
    const { host, port } = this.#options;
    const { signal } = this.#boot;
    try {
      this.#listener = await listen({
        name: this.name,
        host,
        port,
        tls: this.#tls,
        signal,
        onConnection: (socket) => this.#guard.accept(socket),
      });
    } catch (error) {
      if (!signal.aborted) this.#lifecycle.enter("error");
      throw error;
    }
    if (signal.aborted) throw signal.reason;
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
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

  async #stop(graceMs: number): Promise<StopReport> {
    this.drain();
    if (this.state === "init" || this.state === "error") {
      this.dispatcher.close();
      this.engine.forceShutdown();
      this.#lifecycle.enter("stop");
      return { finished: 0, cut: [] };
    }
    this.#lifecycle.enter("graceful");
    this.#boot.abort(new Error(`${this.name} was stopped while it was starting`));
    const before = this.dispatcher.inFlight + this.#outsideDispatcher().length;
    this.#listener?.close();
    this.health.close();
    this.#guard.close();
    const cut = (await this.#quiet(graceMs)) ? [] : this.#cut();
    this.dispatcher.close();
    await this.#listener?.disconnected(farewellMs);
    this.#listener?.destroy();
    this.engine.forceShutdown();
    this.#lifecycle.enter("stop");
    return { finished: Math.max(0, before - cut.length), cut };
  }

  /** Whether all calls ended within `timeoutMs`. */
  async #quiet(timeoutMs: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, false);
    });
    const idle = Promise.all([this.dispatcher.idle(), this.#environment.calls.idle()]).then(() => true);
    const quiet = await Promise.race([idle, late]);
    clearTimeout(timer);
    return quiet;
  }

  /** Ends the calls that are left; returns their names. */
  #cut(): string[] {
    const reason = new ConnectError("the server is shutting down", Code.Unavailable);
    const outside = this.#outsideDispatcher();
    const names = this.dispatcher.abortAll(reason);
    for (const { context } of outside) {
      names.push(rpcName(context.method));
      context.abort(reason);
    }
    return names;
  }

  #outsideDispatcher() {
    return [...this.#environment.calls].filter((call) => call.outsideDispatcher);
  }

  #register(service: AnyService): void {
    this.dispatcher.add(service);
    for (const method of service.descriptor.methods) {
      const path = `/${rpcName(method)}`;
      this.#handlers.set(path, this.dispatcher.handlerOf(method));
      this.engine.register(path, unreachable, passed, reader(method), "unary");
    }
  }

  /** Takes every call of a registered rpc out of the hands of grpc-js' own handlers. */
  #accept(path: string, call: ServerInterceptingCallInterface): ServerInterceptingCall {
    const handler = this.#handlers.get(path);
    const request = this.#guard.current;
    if (handler === undefined || request === undefined) return new ServerInterceptingCall(call);
    runCall(this.#environment, handler, call, request);
    return inert;
  }
}

function reader(method: DescMethod): (bytes: Uint8Array) => Message {
  return (bytes) => fromBinary(method.input, bytes);
}

/** Replies are encoded before they are handed to grpc-js. */
function passed(bytes: Buffer): Buffer {
  return bytes;
}

function unreachable(): void {}

/**
 * What grpc-js' own handlers get instead of the call: starting it does nothing. It is never asked for more, since they
 * act on what they hear after the start.
 */
const inert = new ServerInterceptingCall({} as ServerInterceptingCallInterface, { start() {} });
