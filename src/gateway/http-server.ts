import type { DescService, Registry } from "@bufbuild/protobuf";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { checkOptions } from "../core/config/check-options.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
  sumOfReports,
} from "../core/lifecycle/lifecycle.ts";
import type { ConnectionCounts } from "../core/net/connection-count.ts";
import { listenTarget, passedSocket } from "../core/net/listen-target.ts";
import { boundAddress, formatAddress, listenError, type ListenAddress } from "../core/net/listener.ts";
import { checkProtobufCopy, checkRegistryCopy } from "../core/call/protobuf-copy.ts";
import type { AnyService } from "../core/call/service.ts";
import { checkTuning } from "../core/http2/server-session-options.ts";
import type { RuleText } from "../core/http-rule/service-config.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { hubOf, HttpServerParts, withTypesOf } from "./http-server-parts.ts";
import { checkUpstream } from "../core/upstream/upstream.ts";
import type { Contracts } from "./doors/live-rpcs.ts";
import { fastifyPlugin, type RpcPluginOptions } from "./fastify/fastify-plugin.ts";
import { httpServerDefaults, type HttpServerOptions } from "./http-server-options.ts";
import type { OwnRoute } from "./http/own-route.ts";
import { samplePath } from "./routing/sample-path.ts";
import { serverFeatures } from "./doors/server-features.ts";
import { StartWarnings } from "./doors/start-warnings.ts";
import { stopExchanges } from "./connections/stop-exchanges.ts";

/** How long connections may take to send their last bytes and to close when the server stops, in milliseconds. */
const flushTimeoutMs = 250;

/**
 * The gateway: serves rpcs as REST with JSON, by their `google.api.http` rules, and calls the upstream that implements
 * them.
 *
 * It needs the descriptors only, no implementation. Routes, hooks and plugins that an application adds to `fastify`
 * come before the rpcs; hooks run for the rpcs too.
 */
export class HttpServer implements ManagedServer, AsyncDisposable {
  readonly name = "HTTP";
  /** The engine, for what the toolkit does not cover. Add to it before `start()`. */
  readonly fastify: FastifyInstance;
  /** The object of the parts, of which `reload` changes members. */
  readonly #options: HttpServerOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #parts: HttpServerParts;
  readonly #warnings: StartWarnings;
  #draining = false;
  #suspended = false;
  #address: ListenAddress | undefined;
  /** Path prefix of the rpcs in the app that has registered this server as a plugin; undefined while there is none. */
  #prefix: string | undefined;
  #binding: Promise<void> | undefined;
  #stopping: Promise<StopReport> | undefined;

  /** @throws TypeError or Error naming the invalid option */
  constructor(options: Partial<HttpServerOptions> & Pick<HttpServerOptions, "upstream">) {
    checkOptions<HttpServerOptions>("HttpServer", options, { ...httpServerDefaults, upstream: undefined });
    checkTuning("HttpServer", options);
    checkUpstream("HttpServer", options.upstream);
    const { http3, host, port, tls } = { ...httpServerDefaults, ...options };
    http3?.check({ host, port, tls });
    const merged: HttpServerOptions = { ...httpServerDefaults, ...options, hub: hubOf(options) };
    this.#options = merged;
    if (merged.registry !== undefined) checkRegistryCopy(merged.registry);
    this.#parts = new HttpServerParts(merged, {
      isServing: () => this.state === "ready" && !this.#draining && !this.#suspended,
      prefix: () => this.#prefix,
    });
    this.fastify = this.#parts.engine.fastify;
    this.#warnings = new StartWarnings(merged, this.#parts.router);
  }

  /**
   * The rpcs as a plugin for a Fastify 5 that serves by itself, `await app.register(http.plugin)`, instead of `start()`:
   * REST, streams, server-sent events, long polling, Connect and gRPC-Web, over HTTP/1.1. The app listens; its hooks run
   * for the rpcs, and closing it ends their calls as `gracefulStop` does. WebSockets and gRPC need a port of this server.
   */
  get plugin(): FastifyPluginAsync<RpcPluginOptions> {
    return fastifyPlugin({
      ...this.#parts.entry,
      knows: (head) => this.#parts.router.knows(head),
      takesOptions: this.#options.corsOrigins.length > 0,
      addHooks: this.#parts.engine.addHooks,
      mounted: (prefix) => this.#mountAt(prefix),
      ready: (own) => this.#readyInApp(own),
      routes: () => this.#parts.router.rpcs.router.routes,
      closing: (graceMs) => this.gracefulStop({ graceMs }),
    });
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state. Returns the function that unsubscribes. */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** The hub that knows the live connections of this server; undefined for none. */
  get hub(): HttpServerOptions["hub"] {
    return this.#options.hub;
  }

  /** The address on which the server listens; undefined before it does. */
  get address(): ListenAddress | undefined {
    return this.#address;
  }

  /** The address of HTTP/3, a UDP port; undefined while it is not served. */
  get http3Address(): ListenAddress | undefined {
    return this.#parts.http3?.address;
  }

  /** Whether it serves by TLS. */
  get isSecure(): boolean {
    return this.#options.tls !== undefined;
  }

  /** How many connections its port has had. */
  get connectionCounts(): ConnectionCounts {
    return this.#parts.port.counts;
  }

  /** What it offers, see `Feature` of `ts-ms/app`. */
  get features(): readonly string[] {
    const { routes } = this.#parts.router.rpcs.router;
    return serverFeatures({ options: this.#options, routes, hasHooks: this.#parts.engine.hasHooks });
  }

  /** The services whose rpcs are served, in the order of registration. */
  get services(): readonly DescService[] {
    return this.#parts.router.services;
  }

  /**
   * Serves the rpcs of a service, given by itself or by its descriptor alone.
   *
   * @throws Error when it is registered already, comes from another version of `@bufbuild/protobuf`, a rule of it is
   * wrong, or a route of it clashes with another's. With rules outside the proto, which may select services that are
   * added later, `start()` rejects instead.
   */
  addService(service: AnyService | DescService): this {
    const isReady = this.state === "ready";
    const descriptor = "descriptor" in service ? service.descriptor : service;
    checkProtobufCopy(descriptor);
    this.#parts.router.add(descriptor, isReady);
    if (isReady) this.#served();
    return this;
  }

  /**
   * Atomically replaces all services by these. If it throws, nothing has changed.
   *
   * @param registry types that `google.protobuf.Any` and error details may contain from now on; undefined for those of
   *   the options
   * @param rules rules outside the proto from now on; undefined for those that there are
   * @throws Error as `addService`
   */
  replaceServices(services: readonly DescService[], registry?: Registry, rules?: readonly RuleText[]): void {
    for (const service of services) checkProtobufCopy(service);
    if (registry !== undefined) checkRegistryCopy(registry);
    this.#parts.router.replace(services, registry && withTypesOf(this.#options.hub, registry), rules);
    if (this.state === "ready") this.#served();
  }

  /**
   * Replaces all services by those of several contracts, which come and go: only what is new is compiled. A service that
   * cannot be served beside those before it is left out; rules outside the proto may select rpcs that are not there.
   * `Upstreams.serve` calls it.
   *
   * @returns the services that were left out, with the reason
   * @throws Error where nothing can be served, for example as a rule outside the proto is wrong; then nothing has changed
   */
  serveContracts(contracts: Contracts): ReadonlyMap<DescService, Error> {
    for (const service of contracts.services) checkProtobufCopy(service);
    const leftOut = this.#parts.router.serveContracts(contracts);
    if (this.state === "ready") this.#served();
    return leftOut;
  }

  /**
   * Serves the requests that come from now on by other options: `gates`, `trustedProxies`, `defaultTimeoutMs`,
   * `maxTimeoutMs`, `bodyTimeoutMs`, `bodyIdleMs`, `writeIdleMs`, `corsOrigins`, `corsCredentials`, `corsMaxAgeMs`,
   * `allowedOrigins`, `securityHeaders` and, where ids are given, `requestId`. Calls under way keep those that they began
   * with; all other options stay.
   *
   * @throws SetupError naming the option that cannot be used; nothing has changed then
   */
  reload(options: Partial<HttpServerOptions>): void {
    const given = Object.entries(options).filter(
      ([name, value]) => reloadable.has(name) && value !== undefined,
    );
    this.#parts.reload(Object.fromEntries(given));
  }

  /**
   * Binds the port and serves. Resolves without serving when the server is stopped meanwhile.
   *
   * @throws Error that names host, port and cause if the port cannot be bound, or the invalid rule, of a route or of
   *   messages
   */
  async start(): Promise<void> {
    if (this.#prefix !== undefined) {
      throw new SetupError(`${this.name} cannot start: it is a plugin of an app, which listens for it`);
    }
    this.#lifecycle.enter("boot");
    this.#warnings.ownRoutes = this.#parts.engine.ownRoutes;
    this.#binding = this.#bind();
    try {
      await this.#binding;
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      throw error;
    }
    if (this.state !== "boot") return;
    this.#lifecycle.enter("listen");
    this.#parts.book?.started();
    this.#lifecycle.enter("ready");
  }

  /**
   * As `start()`, without a port: for faces that are reached otherwise, such as by stdin.
   *
   * @throws as `start()`
   */
  async open(): Promise<void> {
    this.#lifecycle.enter("boot");
    await this.#readyInApp([]);
  }

  /** Lines for the start-up message: the address, and one line for each route. */
  describe(): string[] {
    const place =
      this.#prefix === undefined
        ? `listening on ${formatAddress(this.#address ?? this.#options)}`
        : `a plugin of an app, at ${this.#prefix}/`;
    const lines = [
      place,
      ...this.#parts.engine.describe(),
      ...this.#parts.port.describe(),
      ...(this.#parts.http3 === undefined ? [] : [this.#parts.http3.describe()]),
      ...this.#parts.router.rpcs.describe(),
    ];
    const faces = this.#parts.faces?.describe(this.#origin) ?? [];
    return [...lines.map((line) => `[HTTP] ${line}`), ...faces, ...this.#parts.upstream.describe()];
  }

  /** The address of the server as a URL without a path. */
  get #origin(): string {
    return `${this.isSecure ? "https" : "http"}://${formatAddress(this.#address ?? this.#options)}`;
  }

  /**
   * A path for a first request: of the first `GET` without variables, else of the first `GET` with sample values;
   * undefined without such a route.
   */
  get samplePath(): string | undefined {
    return samplePath(this.#parts.router.rpcs.router.routes);
  }

  /** From now on `/readyz` answers 503 and every response closes its connection. All requests are still served. */
  drain(): void {
    this.#draining = true;
    // What comes on a passed socket waits for the next program, which can serve it for longer.
    if (passedSocket(this.#options.host) !== undefined) this.#parts.port.stopAccepting();
    this.#parts.altSvc?.clear();
    this.#parts.port.closeConnections();
  }

  /**
   * From now on `/readyz` answers 503, until `resume()`: for a program that lacks something it needs, such as its
   * database. All requests are served.
   */
  suspend(): void {
    this.#suspended = true;
  }

  /** Ends what `suspend()` has begun. */
  resume(): void {
    this.#suspended = false;
  }

  /**
   * Closes the listener and waits for requests in flight; those that remain after the grace period are aborted.
   * Idempotent.
   */
  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    return (this.#stopping ??= this.#stop(graceMs));
  }

  /** Stops as `gracefulStop()` does, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.gracefulStop();
  }

  async #stop(graceMs: number): Promise<StopReport> {
    this.drain();
    const { state } = this;
    if (state === "boot" || state === "listen" || state === "ready") this.#lifecycle.enter("graceful");
    // A port can only be closed after it is bound; `start` reports an error of the bind.
    await this.#binding?.catch(() => {});
    this.#parts.port.closeListeners(graceMs);
    this.#parts.refuseHttp3();
    const stopped = Promise.all([
      stopExchanges(this.#parts.keepers, graceMs),
      this.#parts.router.stop(graceMs),
    ]);
    this.#parts.book?.drain(graceMs); // Clients have heard that the server stops before a call of theirs ends.
    const [calls, sockets] = await stopped;
    this.#parts.router.close();
    await Promise.all([this.#parts.port.http2Disconnected(flushTimeoutMs), this.#parts.http3?.close()]);
    this.#parts.port.cutConnections();
    this.#parts.guests.cut();
    await this.fastify.close();
    this.#parts.upstream.close();
    this.#parts.book?.stopped();
    this.#lifecycle.enter("stop");
    return sumOfReports([calls, sockets]);
  }

  /** Other rpcs are served while requests come. */
  #served(): void {
    this.#warnings.give();
    this.#parts.prepareMore();
  }

  #mountAt(prefix: string): void {
    if (this.state !== "init") {
      throw new SetupError(
        `${this.name} is started or a plugin of an app already: its state is "${this.state}"`,
      );
    }
    this.#prefix = prefix;
    this.#lifecycle.enter("boot");
  }

  async #readyInApp(own: readonly OwnRoute[]): Promise<void> {
    void this.#parts.router.rpcs; // Throws for invalid rules and routes.
    await this.#parts.faces?.load();
    this.#parts.faces?.open();
    await this.#parts.prepare();
    this.#warnings.ownRoutes = own;
    this.#warnings.give();
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    this.#parts.book?.started();
    this.#lifecycle.enter("ready");
  }

  async #bind(): Promise<void> {
    const { host, port } = this.#options;
    // Throws for invalid routes before the engine starts: an engine whose mount has failed cannot be started again.
    void this.#parts.router.rpcs;
    await this.#parts.faces?.load();
    this.#parts.faces?.open();
    await this.#parts.prepare();
    await this.fastify.ready();
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#warnings.give();
    const target = listenTarget(this.name, host, port);
    try {
      await this.fastify.listen({ ...target });
    } catch (error) {
      throw error instanceof Error ? listenError(this.name, { host, port }, error) : error;
    }
    this.#address = boundAddress(this.fastify.server, host);
    try {
      await this.#parts.openHttp3();
    } catch (error) {
      await this.fastify.close();
      throw error;
    }
  }
}

/** The options that `reload` takes. */
const reloadable: ReadonlySet<string> = new Set<keyof HttpServerOptions>([
  "gates",
  "trustedProxies",
  "defaultTimeoutMs",
  "maxTimeoutMs",
  "bodyTimeoutMs",
  "bodyIdleMs",
  "writeIdleMs",
  "corsOrigins",
  "corsCredentials",
  "corsMaxAgeMs",
  "allowedOrigins",
  "securityHeaders",
  "requestId",
]);
