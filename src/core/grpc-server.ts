import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { Server } from "@grpc/grpc-js";
import { Admission } from "./admission/admission.ts";
import { CallReports } from "./admission/call-reports.ts";
import { ClientAddresses } from "./admission/client-address.ts";
import type { ConnectionBook, ServerBook } from "./admission/connection-book.ts";
import { FaultLog } from "./call/fault-log.ts";
import { joinChecks, type RpcChecks } from "./call/message-checks.ts";
import { checkOptions } from "./config/check-options.ts";
import type { CallContext } from "./call/context.ts";
import { Dispatcher } from "./call/dispatcher.ts";
import { reachOfService } from "./call/reach.ts";
import { HealthService } from "./grpc/health/health.ts";
import { Http2Acceptor } from "./grpc/server/http2-acceptor.ts";
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
import { type ConnectionCounts, noConnections } from "./net/connection-count.ts";
import { passedSocket } from "./net/listen-target.ts";
import { formatAddress, listen, type ListenAddress, type Listener } from "./net/listener.ts";
import { type AnyService, type PartialService, rpcName, streamsReplies } from "./call/service.ts";
import type { IncomingRequest } from "./http2/incoming-request.ts";
import type { ServerStream } from "./http2/server-stream.ts";
import type { GuestClient, SessionLimits, StreamServer } from "./http2/session-limits.ts";
import { checkTuning } from "./http2/server-session-options.ts";
import { Validation } from "./validation/validation.ts";
import { ServerTls, type ServerTlsOptions } from "./net/tls.ts";

export { grpcServerDefaults, type GrpcServerOptions, type ServerTlsOptions };

/** Time for clients to read the last bytes and disconnect after the last call, in milliseconds. */
const flushTimeoutMs = 500;

/**
 * Serves services over gRPC: all four kinds of rpcs, with limits on every resource that a client can use, health and
 * reflection.
 */
export class GrpcServer implements ManagedServer, StreamServer, AsyncDisposable {
  readonly name = "GRPC";
  /** All handlers; in-process calls use it directly. */
  readonly dispatcher: Dispatcher;
  /** The health service, served unless the option `health` is false. */
  readonly health: HealthService;
  #options: GrpcServerOptions;
  readonly #tls: ServerTls | undefined;
  readonly #lifecycle = new Lifecycle();
  readonly #engine: ServerEngine;
  readonly #addresses: ClientAddresses;
  /** The connections of this server in the book of its hub; undefined without one. */
  readonly #book: ServerBook | undefined;
  readonly #acceptor: Http2Acceptor;
  readonly #validation: Validation | undefined;
  #admission: Admission | undefined;
  readonly #services: DescService[] = [];
  /** Ends the questions for the health of services of other servers, by their names. */
  readonly #unfollow = new Map<string, () => void>();
  readonly #boot = new AbortController();
  #listener: Listener | undefined;
  #stopped: Promise<StopReport> | undefined;
  #leaveLimit: (() => void) | undefined;

  /** @throws TypeError naming the option that cannot be used. */
  constructor(options: Partial<GrpcServerOptions> = {}) {
    checkOptions<GrpcServerOptions>("GrpcServer", options, grpcServerDefaults);
    this.#options = { ...grpcServerDefaults, ...options };
    const { tls, handshakeTimeoutMs } = this.#options;
    const use = { server: this.name, protocols: ["h2", "http/1.1"], handshakeTimeoutMs };
    this.#tls = tls === undefined ? undefined : new ServerTls(tls, use);
    this.#addresses = new ClientAddresses(this.#options.trustedProxies);
    this.#book = this.#options.hub?.attach();
    const admission = (this.#admission = admissionOf(this.#options, this.#book, this.#addresses));
    const { validation } = this.#options;
    this.#validation = validation === undefined ? undefined : new Validation("GrpcServer", validation);
    const checksOf = (method: DescMethod): RpcChecks | undefined =>
      joinChecks(this.#validation?.of(method), this.#admission?.messageChecks(method) ?? []);
    this.dispatcher = new Dispatcher(this.#options, { admission, checksOf });
    this.#engine = new ServerEngine(
      this.#options,
      this.dispatcher,
      admission,
      CallReports.of(this.#options.observers, this.#addresses),
    );
    checkTuning("GrpcServer", options);
    this.#acceptor = new Http2Acceptor(handshakeTimeoutMs, (connection) => this.#engine.connect(connection));
    this.health = new HealthService(() => this.dispatcher.services.map(({ typeName }) => typeName));
    for (const service of this.#ownServices())
      this.#register(service, this.#options.interceptHealthAndReflection);
  }

  /**
   * The grpc-js server: handlers that are added to it before `start()` or later are served on the same ports, with the
   * same limits, observers and stop. Reading it before `start()` makes the server use `node:http2`, see the option
   * `engine`.
   *
   * @throws SetupError after a start on the own engine, or if the optional peer `@grpc/grpc-js` is not installed.
   */
  get engine(): Server {
    return this.#engine.grpcJs;
  }

  /**
   * Registers a service; rpcs without an implementation answer UNIMPLEMENTED.
   *
   * @throws TypeError if a service of this name is registered already or a member with the name of an rpc is no
   *   function; SetupError naming rpc and field, after the start, for a rule of a message that cannot be compiled.
   */
  addService<D extends DescService>(service: PartialService<D>): this {
    this.#register(service, true);
    this.#services.push(service.descriptor);
    this.#follow(service);
    this.health.changed();
    return this;
  }

  /**
   * Ends serving a service that was added: its calls in flight are completed, further ones are UNIMPLEMENTED.
   *
   * @returns false where no such service was added
   */
  removeService({ typeName }: DescService): boolean {
    const place = this.#services.findIndex((service) => service.typeName === typeName);
    const [service] = place === -1 ? [] : this.#services.splice(place, 1);
    if (service === undefined) return false;
    this.dispatcher.remove(service);
    this.#engine.unregister(service);
    this.#unfollow.get(typeName)?.();
    this.health.changed();
    return true;
  }

  /** The descriptors of the added services in their order, then those of health and reflection. */
  get services(): readonly DescService[] {
    const added = new Set(this.#services);
    return [...this.#services, ...this.dispatcher.services.filter((service) => !added.has(service))];
  }

  /** The hub that knows the live connections of this server; undefined for none. */
  get hub(): ConnectionBook | undefined {
    return this.#options.hub;
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state. @returns a function that unsubscribes it */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** The bound address; undefined before the port is bound and without a port of its own. */
  get address(): ListenAddress | undefined {
    return this.#listener?.address;
  }

  /** Whether it serves by TLS. */
  get isSecure(): boolean {
    return this.#tls !== undefined;
  }

  /** How many connections are open on the server's own port. */
  get connections(): number {
    return this.#listener?.connections ?? 0;
  }

  /** How many connections the server's own port has had. */
  get connectionCounts(): ConnectionCounts {
    return this.#listener?.counts ?? noConnections;
  }

  /** What it offers, see `Feature` of `ts-ms/app`. */
  get features(): readonly string[] {
    const { compressReplies, health, interceptors } = this.#options;
    const streams = this.#services.some(({ methods }) =>
      methods.some((method) => method.methodKind !== "unary"),
    );
    return [
      ...(compressReplies ? ["compression"] : []),
      ...(health ? ["health_checks"] : []),
      ...(interceptors.length > 0 ? ["middleware"] : []),
      "headers",
      ...(streams ? ["streaming", "real_time", "unicasting"] : []),
    ];
  }

  /** Lines for a log or terminal: the address and the services. */
  describe(): string[] {
    const lines = this.services.map(({ typeName }) => `[${this.name}] serving ${typeName}`);
    if (this.address === undefined) return lines;
    const first = [`listening on ${formatAddress(this.address)}`, ...this.#engine.describe()];
    return [...first.map((line) => `[${this.name}] ${line}`), ...lines];
  }

  /** As `acceptStream`, for the `HttpServer`'s own engine of HTTP/2. */
  acceptOwnStream(stream: ServerStream, request: IncomingRequest, client: GuestClient): void {
    if (isUp(this.state)) this.#engine.acceptOwnStream(stream, request, client);
    else this.#engine.refuseOwnStream(stream);
  }

  /**
   * Serves a stream of an HTTP/2 connection of an `HttpServer` with this server as its option `grpc`; answers
   * UNAVAILABLE before `start()` and after a stop.
   */
  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    _flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void {
    if (isUp(this.state)) this.#engine.acceptStream(stream, headers, rawHeaders, session);
    else this.#engine.refuseStream(stream, session);
  }

  /**
   * Serves the calls that begin from now on by other options: `gates`, `trustedProxies`, `defaultTimeoutMs`,
   * `maxTimeoutMs`, `maxMessageBytes`, `maxSendBytes` and, where ids are given, `requestId`. Calls under way keep those that they began with; all other
   * options stay.
   *
   * @throws SetupError naming the option that cannot be used; nothing has changed then
   */
  reload(options: Partial<GrpcServerOptions>): void {
    const next = { ...this.#options };
    for (const name of reloadable)
      Object.assign(next, options[name] === undefined ? {} : { [name]: options[name] });
    const trustProxies = this.#addresses.prepare(next.trustedProxies);
    const admission = (this.#admission = admissionOf(next, this.#book, this.#addresses));
    trustProxies();
    this.#options = next;
    this.dispatcher.admission = admission;
    this.dispatcher.reload(next);
    this.#engine.reload(next, admission);
  }

  /**
   * Binds the port, unless the option `listen` is false, and serves.
   *
   * @throws Error naming host, port and cause if the port cannot be bound, after which `start()` may be called again;
   *   SetupError naming rpc and field for rules of messages that cannot be compiled; Error if the server was started or stopped before, or is stopped meanwhile.
   */
  async start(): Promise<void> {
    if (this.state !== "init" && this.state !== "error") {
      throw new Error(`${this.name} cannot start: its state is "${this.state}"`);
    }
    this.#engine.choose();
    this.#lifecycle.enter("boot");
    if (this.#validation !== undefined || this.#admission !== undefined) {
      await this.#prepare();
    }
    const { signal } = this.#boot;
    if (this.#options.listen) this.#listener = await this.#listen();
    signal.throwIfAborted(); // A listener of the state may have stopped the server.
    this.#lifecycle.enter("listen");
    signal.throwIfAborted();
    this.#book?.started();
    this.#lifecycle.enter("ready");
  }

  /** Loads and compiles what decides on calls. */
  async #prepare(): Promise<void> {
    const { signal } = this.#boot;
    try {
      await this.#validation?.load();
      await this.#admission?.ready();
    } catch (error) {
      if (!signal.aborted) this.#lifecycle.enter("error");
      throw error;
    }
    signal.throwIfAborted();
  }

  async #listen(): Promise<Listener> {
    const { host, port } = this.#options;
    const { signal } = this.#boot;
    let listener: Listener;
    try {
      const onConnection = (socket: Socket): void => this.#acceptor.accept(socket);
      const { connectionLimit: limit } = this.#options;
      listener = await listen({ name: this.name, host, port, tls: this.#tls, limit, signal, onConnection });
      this.#leaveLimit = limit?.add(() => this.#engine.idleConnections());
    } catch (error) {
      if (!signal.aborted) this.#lifecycle.enter("error");
      throw error;
    }
    if (signal.aborted) {
      listener.close(); // The stop came between the bind and its event.
      listener.destroy();
      throw signal.reason;
    }
    return listener;
  }

  /** Reports every service as NOT_SERVING to health checks; calls are still served. */
  drain(): void {
    this.health.drain();
    // What comes on a passed socket waits for the next program, which can serve it for longer.
    if (passedSocket(this.#options.host) !== undefined) this.#listener?.close();
  }

  /** As `drain()`, until `resume()`: for a program that lacks something it needs, such as its database. */
  suspend(): void {
    this.health.suspend();
  }

  /** Ends what `suspend()` has begun. */
  resume(): void {
    this.health.resume();
  }

  /**
   * Stops for good: no new connections, GOAWAY to clients; calls under way may continue for the grace period and are
   * then ended with UNAVAILABLE. A call that comes after the last of them is refused as not processed (REFUSED_STREAM),
   * so that clients may make it elsewhere. In-process calls are served as long as network calls are. Idempotent.
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
      this.#engine.close();
      this.dispatcher.close();
      this.#engine.shutdown();
      this.#lifecycle.enter("stop");
      return { finished: 0, notified: [], cut: [] };
    }
    this.#lifecycle.enter("graceful");
    this.#book?.drain(graceMs);
    this.#boot.abort(new Error(`${this.name} was stopped while it was starting`));
    const before = this.#engine.inFlight;
    this.#listener?.close();
    this.#leaveLimit?.();
    this.#acceptor.close();
    this.health.close();
    for (const end of [...this.#unfollow.values()]) end();
    this.#engine.goAway(graceMs);
    this.dispatcher.drain();
    const noticeMs = noticeAfterMs(graceMs);
    const [notifiedCalls, cut] = await this.#endCalls(noticeMs, graceMs - noticeMs);
    this.#engine.close(); // For clients that have not seen GOAWAY yet.
    this.dispatcher.close();
    await Promise.all([
      this.#listener?.disconnected(flushTimeoutMs),
      this.#engine.closeGuests(flushTimeoutMs),
    ]);
    this.#listener?.destroy();
    this.#engine.shutdown();
    this.#book?.stopped();
    this.#lifecycle.enter("stop");
    const notified = notifiedCalls.filter((context) => !cut.includes(context));
    const name = ({ method }: CallContext): string => rpcName(method);
    return {
      finished: Math.max(0, before - cut.length - notified.length),
      notified: notified.map(name),
      cut: cut.map(name),
    };
  }

  /** Waits for calls; ends response streams after `noticeMs`, all others `lastMs` later. @returns both groups */
  async #endCalls(noticeMs: number, lastMs: number): Promise<readonly [CallContext[], CallContext[]]> {
    if (await within(noticeMs, this.#engine.idle())) return [[], []];
    const notified = this.#engine.end(streamsReplies);
    if (await within(lastMs, this.#engine.idle())) return [notified, []];
    return [notified, this.#engine.end(() => true)];
  }

  /** The health of a service of another server is whether that can be reached. */
  #follow(service: AnyService): void {
    const reach = reachOfService(service);
    if (reach === undefined) return;
    const { typeName } = service.descriptor;
    const ends = [
      this.health.ask((name) => (name === typeName ? reach.canBeCalled : undefined)),
      reach.onChange(() => this.health.changed()),
    ];
    this.#unfollow.set(typeName, () => {
      this.#unfollow.delete(typeName);
      for (const end of ends) end();
    });
  }

  /** Health and reflection, unless disabled. */
  #ownServices(): AnyService[] {
    const { health, reflection } = this.#options;
    return [...(health ? [this.health] : []), ...(reflection ? reflectionServices(() => this.services) : [])];
  }

  #register(service: AnyService, intercepted: boolean): void {
    this.dispatcher.add(service, intercepted ? this.#options.interceptors : []);
    this.#engine.register(service);
  }
}

/** The options that `reload` takes. */
const reloadable = [
  "gates",
  "trustedProxies",
  "defaultTimeoutMs",
  "maxTimeoutMs",
  "maxMessageBytes",
  "maxSendBytes",
  "requestId",
] as const;

/** What decides on calls; undefined without a gate. */
function admissionOf(
  options: GrpcServerOptions,
  book: ServerBook | undefined,
  addresses: ClientAddresses,
): Admission | undefined {
  const { observers } = options;
  const gates = book === undefined ? options.gates : [...options.gates, book.gate];
  return gates.length === 0
    ? undefined
    : new Admission({ gates, observers, faults: new FaultLog(options), addresses });
}

/**
 * Whether the engine gets streams in this state; while the server stops and afterwards, the engine refuses them itself.
 */
function isUp(state: ServerState): boolean {
  return state !== "init" && state !== "boot" && state !== "error";
}

/** Whether `work` resolves within `timeoutMs`. */
async function within(timeoutMs: number, work: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, timeoutMs, false);
  });
  const done = await Promise.race([work.then(() => true), late]);
  clearTimeout(timer);
  return done;
}
