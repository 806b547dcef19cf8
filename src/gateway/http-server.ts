import type { AddressInfo } from "node:net";
import type { DescService, Registry } from "@bufbuild/protobuf";
import type { FastifyInstance, FastifyPluginAsync } from "fastify";
import { Admission } from "../core/admission/admission.ts";
import type { ServerBook } from "../core/admission/connection-book.ts";
import type { Gate, GateDocument } from "../core/admission/gate.ts";
import { CallReports } from "../core/admission/call-reports.ts";
import { ClientAddresses } from "../core/admission/client-address.ts";
import { interceptInvoker } from "../core/call/invoker.ts";
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
import { isLoopback } from "../core/net/loopback.ts";
import { pathOf } from "../core/net/request-target.ts";
import type { OpenConnection } from "../core/net/open-connections.ts";
import { formatAddress, listenError, unixPath, type ListenAddress } from "../core/net/listener.ts";
import { toCallError } from "../core/errors/errors.ts";
import { Validation } from "../core/validation/validation.ts";
import { FaultLog } from "../core/call/fault-log.ts";
import { checkProtobufCopy, checkRegistryCopy } from "../core/call/protobuf-copy.ts";
import type { AnyService } from "../core/call/service.ts";
import { checkTuning } from "../core/http2/server-session-options.ts";
import type { RuleText } from "../core/http-rule/service-config.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { ForBrowsers } from "./http/browsers/for-browsers.ts";
import { ErrorWriter } from "./http/error-writer.ts";
import { giveRequestIds, type IsTrusted } from "./connections/give-request-ids.ts";
import type { ExchangeHooks } from "./connections/live-exchange.ts";
import type { CompleteHead } from "./http/response-head.ts";
import type { RequestIds } from "../core/metadata/request-id.ts";
import { observeExchanges } from "./connections/observe-exchanges.ts";
import { refusedExchanges, type RequestPurpose } from "./connections/refused-exchange.ts";
import { JoinedRegistry } from "../core/schema/joined-registry.ts";
import { checkUpstream, upstreamInvoker, type Upstream } from "./upstreams/upstream.ts";
import { BodyReader } from "./http/request-body.ts";
import { RequestMetadata } from "./http/request-metadata.ts";
import { commentsFrom } from "./faces/comment-files.ts";
import { FaceSet } from "./faces/face-set.ts";
import type { Contracts } from "./doors/live-rpcs.ts";
import { healthPaths } from "./doors/health/health-door.ts";
import type { Entry } from "./fastify/entry.ts";
import { fastifyPlugin, type RpcPluginOptions } from "./fastify/fastify-plugin.ts";
import { GuestExchanges } from "./connections/guest-exchanges.ts";
import { HttpEngine } from "./fastify/http-engine.ts";
import { doorOptions, httpServerDefaults, type HttpServerOptions } from "./http-server-options.ts";
import { observeInvoker } from "./doors/observe-invoker.ts";
import { watchInvoker } from "./doors/watch-invoker.ts";
import { PortServer } from "./connections/port-server.ts";
import { ReplyMetadata } from "./http/reply-metadata.ts";
import { RequestRouter } from "./doors/request-router.ts";
import type { OwnRoute } from "./http/own-route.ts";
import { OriginCheck } from "./http/origin-check.ts";
import { samplePath } from "./routing/sample-path.ts";
import { serverFeatures } from "./doors/server-features.ts";
import { StartWarnings } from "./doors/start-warnings.ts";
import { both, stopExchanges } from "./connections/stop-exchanges.ts";

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
  /** One object for all parts, of which `reload` changes members. */
  readonly #options: HttpServerOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #errors: ErrorWriter;
  readonly #port: PortServer;
  readonly #guests: GuestExchanges;
  /** How requests reach the doors. */
  readonly #entry: Entry;
  readonly #engine: HttpEngine;
  readonly #router: RequestRouter;
  readonly #faces: FaceSet | undefined;
  readonly #addresses: ClientAddresses;
  #admission: Admission | undefined;
  /** The connections of this server in the book of its hub; undefined without one. */
  readonly #book: ServerBook | undefined;
  /** What all exchanges have, around what completes their heads for browsers. */
  readonly #hooksWith: (complete: CompleteHead | undefined) => ExchangeHooks;
  readonly #browsers: ForBrowsers;
  readonly #warnings: StartWarnings;
  readonly #validation: Validation | undefined;
  readonly #faults: FaultLog;
  readonly #requestIds: RequestIds | undefined;
  readonly #upstream: Pick<Upstream, "close" | "describe">;
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
    checkUpstream(options.upstream);
    const merged: HttpServerOptions = { ...httpServerDefaults, ...options, hub: hubOf(options) };
    this.#options = merged;
    if (merged.registry !== undefined) checkRegistryCopy(merged.registry);
    const forDoors = doorOptions(merged);
    this.#requestIds = forDoors.requestIds;
    const metadata = new ReplyMetadata({
      dropResponseHeaders: forDoors.metadata.dropResponseHeaders,
      grpcMetadataPrefix: merged.compat === "grpc-gateway",
    });
    const { errorFormat, challenge, interceptors, observers, maxBodyBytes, maxUrlBytes, validation } = merged;
    const faults = (this.#faults = new FaultLog(merged));
    this.#validation = validation === undefined ? undefined : new Validation("HttpServer", validation);
    this.#errors = new ErrorWriter({ errorFormat, challenge, metadata, faults });
    const browsers = (this.#browsers = new ForBrowsers(merged));
    const upstream = upstreamInvoker(merged);
    this.#upstream = upstream;
    const addresses = (this.#addresses = new ClientAddresses(merged.trustedProxies));
    this.#book = merged.hub?.attach();
    this.#admission = admissionOf(merged, this.#book, faults, addresses);
    const isTrusted: IsTrusted = ({ remoteAddress }) => addresses.isProxy(remoteAddress);
    const purpose: RequestPurpose = {
      rpcOf: (head) => this.#router.rpcOf(head),
      faceOf: ({ url }) => this.#faces?.protocolAt(pathOf(url)),
    };
    const refused = refusedExchanges(observers, purpose, addresses);
    this.#hooksWith = (complete) =>
      observeExchanges(
        { observers: merged.httpObservers, refused },
        addresses,
        giveRequestIds(forDoors.requestIds, isTrusted, complete),
      );
    const hooks = this.#hooksWith(browsers.completeHead);
    this.#guests = new GuestExchanges(merged, hooks);
    this.#port = new PortServer(merged, this.#errors, hooks);
    let connections: () => readonly OpenConnection[] = () => [];
    const bodies = new BodyReader(merged);
    this.#faces = FaceSet.of(merged.faces, {
      ...merged,
      json: merged,
      bodies,
      errors: this.#errors,
      live: () => merged,
      isLocal: () => this.#prefix === undefined && isLoopback(merged.host),
      document: (path) => gateDocuments(merged.gates)?.(path),
      connections: () => connections(),
      prefix: () => this.#prefix ?? "",
    });
    const watchers = this.#faces?.watchers ?? [];
    if (watchers.length > 0) connections = this.#port.listConnections();
    this.#router = new RequestRouter({
      kit: {
        ...forDoors,
        gateDocuments: gateDocuments(merged.gates),
        faces: this.#faces,
        comments: commentsFrom(merged.comments),
        pages: merged.pages?.files,
        reports: CallReports.of(observers, addresses),
        admission: this.#admission,
        book: this.#book,
        addresses,
        invoker: watchInvoker(
          observeInvoker(interceptInvoker(upstream.invoker, interceptors), observers, faults),
          watchers,
        ),
        observers,
        validation: this.#validation,
        healthInvoker: upstream.invoker.unobserved ?? upstream.invoker,
        errors: this.#errors,
        requestMetadata: new RequestMetadata({
          forwardHeaders: merged.forwardHeaders,
          grpcMetadataPrefix: merged.compat === "grpc-gateway",
        }),
        replyMetadata: metadata,
        bodies,
        browsers,
      },
      routing: {
        router: { ...merged, reservedPaths: reservedPaths(merged) },
        ruleMode: merged.ruleMode,
        onBadRule: merged.onBadRule,
        onSkippedRule: merged.onSkippedRule,
      },
      rules: merged.rules,
      registry: withTypesOf(merged.hub, merged.registry),
      only: merged.only,
      awaitServices: merged.awaitServices,
      isServing: () => this.state === "ready" && !this.#draining && !this.#suspended,
    });
    this.#entry = {
      serve: this.#router.serve,
      adopt: (request, response) => this.#guests.adopt(request, response),
      errors: this.#errors,
    };
    this.#engine = new HttpEngine({
      ...this.#entry,
      port: this.#port,
      choose: this.#router.choose,
      maxBodyBytes,
      maxUrlBytes,
      prepare: () => void this.#router.rpcs, // Throws for invalid rules and routes.
      addHooks: browsers.hooks,
    });
    this.fastify = this.#engine.fastify;
    this.#warnings = new StartWarnings(merged, this.#router);
  }

  /**
   * The rpcs as a plugin for a Fastify 5 that serves by itself, `await app.register(http.plugin)`, instead of `start()`:
   * REST, streams, server-sent events, long polling, Connect and gRPC-Web, over HTTP/1.1. The app listens; its hooks run
   * for the rpcs, and closing it ends their calls as `gracefulStop` does. WebSockets and gRPC need a port of this server.
   */
  get plugin(): FastifyPluginAsync<RpcPluginOptions> {
    return fastifyPlugin({
      ...this.#entry,
      knows: (head) => this.#router.knows(head),
      takesOptions: this.#options.corsOrigins.length > 0,
      addHooks: this.#engine.addHooks,
      mounted: (prefix) => this.#mountAt(prefix),
      ready: (own) => this.#readyInApp(own),
      routes: () => this.#router.rpcs.router.routes,
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

  /** Whether it serves by TLS. */
  get isSecure(): boolean {
    return this.#options.tls !== undefined;
  }

  /** How many connections its port has had. */
  get connectionCounts(): ConnectionCounts {
    return this.#port.counts;
  }

  /** What it offers, see `Feature` of `ts-ms/app`. */
  get features(): readonly string[] {
    const { routes } = this.#router.rpcs.router;
    return serverFeatures({ options: this.#options, routes, hasHooks: this.#engine.hasHooks });
  }

  /** The services whose rpcs are served, in the order of registration. */
  get services(): readonly DescService[] {
    return this.#router.services;
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
    this.#router.add(descriptor, isReady);
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
    this.#router.replace(services, registry && withTypesOf(this.#options.hub, registry), rules);
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
    const leftOut = this.#router.serveContracts(contracts);
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
    const next: HttpServerOptions = { ...this.#options, ...Object.fromEntries(given) };
    void new OriginCheck(next.allowedOrigins); // Throws for entries that are wrong.
    const trustProxies = this.#addresses.prepare(next.trustedProxies);
    const admission = (this.#admission = admissionOf(next, this.#book, this.#faults, this.#addresses));
    this.#browsers.use(next);
    trustProxies();
    Object.assign(this.#options, Object.fromEntries(given));
    const { completeHead } = this.#hooksWith(this.#browsers.completeHead);
    this.#port.completeHeads(completeHead);
    this.#guests.completeHead = completeHead;
    const requestIds = this.#requestIds;
    if (requestIds !== undefined && next.requestId !== undefined) requestIds.policy = next.requestId;
    this.#router.reload({
      ...doorOptions(next),
      requestIds,
      gateDocuments: gateDocuments(next.gates),
      admission,
    });
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
    this.#warnings.ownRoutes = this.#engine.ownRoutes;
    this.#binding = this.#bind();
    try {
      await this.#binding;
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      throw error;
    }
    if (this.state !== "boot") return;
    this.#lifecycle.enter("listen");
    this.#book?.started();
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
      ...this.#engine.describe(),
      ...this.#port.describe(),
      ...this.#router.rpcs.describe(),
    ];
    const faces = this.#faces?.describe(this.#origin) ?? [];
    return [...lines.map((line) => `[HTTP] ${line}`), ...faces, ...this.#upstream.describe()];
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
    return samplePath(this.#router.rpcs.router.routes);
  }

  /** From now on `/readyz` answers 503 and every response closes its connection. All requests are still served. */
  drain(): void {
    this.#draining = true;
    this.#port.closeConnections();
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
    this.#book?.drain(graceMs);
    // A port can only be closed after it is bound; `start` reports an error of the bind.
    await this.#binding?.catch(() => {});
    this.#port.closeListeners();
    const [calls, sockets] = await Promise.all([
      stopExchanges(both(this.#port, this.#guests), graceMs),
      this.#router.stop(graceMs),
    ]);
    this.#router.close();
    await this.#port.http2Disconnected(flushTimeoutMs);
    this.#port.cutConnections();
    this.#guests.cut();
    await this.fastify.close();
    this.#upstream.close();
    this.#book?.stopped();
    this.#lifecycle.enter("stop");
    return sumOfReports([calls, sockets]);
  }

  /** Other rpcs are served while requests come. */
  #served(): void {
    this.#warnings.give();
    // Rules that are compiled already have been checked; the first ones are loaded now, and until then their calls wait.
    this.#validation?.load().catch((error: unknown) => {
      this.#faults.request(toCallError(error), "the rules of messages");
    });
    this.#admission?.ready().catch((error: unknown) => {
      this.#faults.request(toCallError(error), "the gates");
    });
  }

  /** Loads and compiles what decides on calls. */
  async #prepare(): Promise<void> {
    await this.#validation?.load();
    await this.#admission?.ready();
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
    void this.#router.rpcs; // Throws for invalid rules and routes.
    await this.#faces?.load();
    this.#faces?.open();
    await this.#prepare();
    this.#warnings.ownRoutes = own;
    this.#warnings.give();
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#lifecycle.enter("listen");
    this.#book?.started();
    this.#lifecycle.enter("ready");
  }

  async #bind(): Promise<void> {
    const { host, port } = this.#options;
    // Throws for invalid routes before the engine starts: an engine whose mount has failed cannot be started again.
    void this.#router.rpcs;
    await this.#faces?.load();
    this.#faces?.open();
    await this.#prepare();
    await this.fastify.ready();
    if (this.state !== "boot") return; // Stopped meanwhile.
    this.#warnings.give();
    const path = unixPath(host);
    try {
      await this.fastify.listen(path === undefined ? { host, port } : { path });
    } catch (error) {
      throw error instanceof Error ? listenError(this.name, { host, port }, error) : error;
    }
    const bound = this.fastify.server.address() as AddressInfo | string; // The server listens.
    this.#address = typeof bound === "string" ? { host, port: 0 } : { host: bound.address, port: bound.port };
  }
}

/** Paths that no rule may use. */
function reservedPaths({ healthPaths: hasHealth, gates, faces }: HttpServerOptions): readonly string[] {
  return [
    ...(hasHealth ? healthPaths : []),
    ...faces.flatMap(({ paths }) => paths),
    ...gates.flatMap(({ documents = {} }) => Object.keys(documents)),
  ];
}

/** Finds the documents of gates; a reload of a gate may change them. */
function gateDocuments(gates: readonly Gate[]): ((path: string) => GateDocument | undefined) | undefined {
  const sources = gates.filter((gate) => "documents" in gate);
  if (sources.length === 0) return undefined;
  return (path) => {
    for (const { documents = {} } of sources) if (Object.hasOwn(documents, path)) return documents[path];
    return undefined;
  };
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

/**
 * The hub of a gateway: its own, or that of the server that it calls in process.
 *
 * @throws SetupError where they are two
 */
function hubOf({ hub, upstream, dial }: Partial<HttpServerOptions>): HttpServerOptions["hub"] {
  const isBehind = typeof upstream === "object" && "dispatcher" in upstream && dial !== "network";
  const behind = isBehind ? upstream.hub : undefined;
  if (hub === undefined || behind === undefined || hub === behind) return hub ?? behind;
  throw new SetupError(
    "HttpServer: hub: the server that is called in process has another hub: give both the same one",
  );
}

/** Types of messages that rooms of a hub have, too. */
function withTypesOf(hub: HttpServerOptions["hub"], registry: Registry | undefined): Registry | undefined {
  const types = hub?.types;
  if (types === undefined || registry === undefined) return registry ?? types;
  const joined = new JoinedRegistry();
  joined.use([registry, types]);
  return joined;
}

/** What decides on calls; undefined without a gate. */
function admissionOf(
  { gates: own, observers }: HttpServerOptions,
  book: ServerBook | undefined,
  faults: FaultLog,
  addresses: ClientAddresses,
): Admission | undefined {
  const gates = book === undefined ? own : [...own, book.gate];
  return gates.length === 0 ? undefined : new Admission({ gates, observers, faults, addresses });
}
