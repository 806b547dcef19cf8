import { METHODS } from "node:http";
import type { AddressInfo } from "node:net";
import type { DescService, Registry } from "@bufbuild/protobuf";
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { interceptCaller, toCaller, type Caller } from "../core/caller.ts";
import { dialCaller } from "../core/dial.ts";
import { Code, ConnectError } from "../core/errors.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../core/lifecycle.ts";
import { formatAddress, listenError, type ListenAddress } from "../core/listener.ts";
import type { AnyService } from "../core/service.ts";
import { ErrorWriter } from "./error-writer.ts";
import type { Exchange } from "./exchange.ts";
import { HealthEndpoints, healthPaths } from "./health-endpoints.ts";
import { HttpError } from "./http-error.ts";
import { httpServerDefaults, type HttpServerOptions } from "./http-server-options.ts";
import { Http1Guard } from "./http1-guard.ts";
import { observeCaller } from "./observe-caller.ts";
import { answerOtherMethod } from "./other-method.ts";
import { ReplyMetadata } from "./reply-metadata.ts";
import { RequestMetadata } from "./request-metadata.ts";
import { RouteTable } from "./route-table.ts";
import { parseServiceConfig, type ServiceConfig } from "./routing/service-config.ts";
import { stopExchanges } from "./stop-exchanges.ts";

/**
 * The gateway: serves rpcs as REST with JSON, by their `google.api.http` rules, and calls whoever implements them.
 *
 * It takes descriptors and knows no implementation. Routes, hooks and plugins of the user's own on `fastify` come
 * before the rpcs, hooks run for the rpcs too.
 */
export class HttpServer implements ManagedServer {
  readonly name = "HTTP";
  /** The engine, for what the toolkit does not cover. Add to it before `start()`. */
  readonly fastify: FastifyInstance;
  readonly #options: HttpServerOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #errors: ErrorWriter;
  readonly #replyMetadata: ReplyMetadata;
  readonly #requestMetadata: RequestMetadata;
  readonly #guard: Http1Guard;
  readonly #caller: Caller;
  readonly #closeUpstream: () => void;
  readonly #health: HealthEndpoints | undefined;
  readonly #rules: readonly ServiceConfig[];
  #services: DescService[] = [];
  #registry: Registry | undefined;
  #table: RouteTable | undefined;
  #waiting: boolean;
  #draining = false;
  #mounted = false;
  #address: ListenAddress | undefined;
  #stopping: Promise<StopReport> | undefined;

  /** @throws TypeError or Error naming the option that is wrong */
  constructor(options: Partial<HttpServerOptions> & Pick<HttpServerOptions, "upstream">) {
    const merged: HttpServerOptions = { ...httpServerDefaults, ...options };
    this.#options = merged;
    this.#waiting = merged.awaitServices;
    const grpcMetadataPrefix = merged.compat === "grpc-gateway";
    this.#replyMetadata = new ReplyMetadata({
      dropResponseHeaders: merged.dropResponseHeaders,
      grpcMetadataPrefix,
    });
    this.#requestMetadata = new RequestMetadata({
      forwardHeaders: merged.forwardHeaders,
      grpcMetadataPrefix,
    });
    this.#errors = new ErrorWriter({
      errorFormat: merged.errorFormat,
      challenge: merged.challenge,
      metadata: this.#replyMetadata,
    });
    this.#useRegistry(merged.registry);
    this.#rules = merged.rules.map(({ text, file }) => parseServiceConfig(text, file));
    const { caller, close } = upstreamCaller(merged);
    this.#closeUpstream = close;
    this.#caller = observeCaller(interceptCaller(caller, merged.interceptors), merged.observers);
    this.#guard = new Http1Guard(merged, this.#errors, requestTeller(merged));
    this.#health = merged.healthPaths
      ? new HealthEndpoints({
          caller,
          errors: this.#errors,
          timeoutMs: merged.healthTimeoutMs,
          isReady: () => this.#isReady(),
        })
      : undefined;
    this.fastify = this.#createEngine();
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** Calls `listener` with every new state; returns how to unsubscribe. */
  onStateChange(listener: (state: ServerState) => void): () => void {
    return this.#lifecycle.onChange(listener);
  }

  /** Where the server listens; undefined before it does. */
  get address(): ListenAddress | undefined {
    return this.#address;
  }

  /** The services whose rpcs are served, in the order of registration. */
  get services(): readonly DescService[] {
    return this.#services;
  }

  /**
   * Serves the rpcs of a service, given by itself or by its descriptor alone.
   *
   * @throws Error when it is registered already, a rule of it is wrong, or a route of it clashes with another's. With
   * rules outside the proto, which may speak of services yet to come, `start()` rejects instead.
   */
  addService(service: AnyService | DescService): this {
    const descriptor = "descriptor" in service ? service.descriptor : service;
    const services = [...this.#services, descriptor];
    this.#table = this.#rules.length === 0 || this.state === "ready" ? this.#compile(services) : undefined;
    this.#services = services;
    this.#waiting = false;
    return this;
  }

  /**
   * Serves these services instead of all before, from one request to the next. When it throws, everything stays as
   * it was.
   *
   * @param registry types that `google.protobuf.Any` and error details may hold from now on; undefined for those of
   * the options
   * @throws Error as `addService`
   */
  replaceServices(services: readonly DescService[], registry?: Registry): void {
    const before = this.#registry;
    this.#useRegistry(registry ?? this.#options.registry);
    try {
      this.#table = this.#compile(services);
    } catch (error) {
      this.#useRegistry(before);
      throw error;
    }
    this.#services = [...services];
    this.#waiting = false;
  }

  /**
   * Binds the port and serves.
   *
   * @throws Error that names host, port and cause when the port cannot be bound, or the rule that is wrong
   */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    try {
      this.#table ??= this.#compile(this.#services);
      this.#mount();
      await this.fastify.ready();
      if (this.state !== "boot") return; // Stopped meanwhile.
      await this.#listen();
    } catch (error) {
      if (this.state === "boot") this.#lifecycle.enter("error");
      throw error;
    }
    if (this.state !== "boot") return;
    this.#lifecycle.enter("listen");
    this.#lifecycle.enter("ready");
  }

  /** What listens where, and one line for each route, for people. */
  describe(): string[] {
    const address = this.#address ?? { host: this.#options.host, port: this.#options.port };
    const table = (this.#table ??= this.#compile(this.#services));
    return [
      `[HTTP] listening on ${formatAddress(address)}`,
      ...table.describe().map((line) => `[HTTP] ${line}`),
    ];
  }

  /** `/readyz` says 503 and every response closes its connection; everything is still served. */
  drain(): void {
    this.#draining = true;
    this.#guard.closeConnections();
  }

  /** Closes the listener, lets requests under way end, cuts them off after the grace. Idempotent. */
  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    return (this.#stopping ??= this.#stop(graceMs));
  }

  async #stop(graceMs: number): Promise<StopReport> {
    this.drain();
    const serving = this.state === "ready" || this.state === "listen" || this.state === "boot";
    if (serving) this.#lifecycle.enter("graceful");
    const { server } = this.fastify;
    if (server.listening) server.close();
    server.closeIdleConnections();
    const report = await stopExchanges(this.#guard, graceMs);
    server.closeAllConnections();
    await this.fastify.close();
    this.#closeUpstream();
    this.#lifecycle.enter("stop");
    return report;
  }

  #createEngine(): FastifyInstance {
    const engine = fastify({
      serverFactory: (handler) => this.#guard.createServer(handler),
      clientErrorHandler: (error, socket) => this.#guard.clientError(error, socket),
      frameworkErrors: (error, _request, reply) => this.#errors.send(reply, error),
      bodyLimit: this.#options.maxBodyBytes,
      return503OnClosing: false,
    });
    for (const method of METHODS) {
      if (method === "CONNECT" || engine.supportedMethods.includes(method)) continue;
      engine.addHttpMethod(method, { hasBody: true });
    }
    engine.setErrorHandler((error, _request, reply) => this.#errors.send(reply, error));
    return engine;
  }

  /** Puts the rpcs behind everything that the user has added: one route that matches every path. */
  #mount(): void {
    if (this.#mounted) return;
    this.#mounted = true;
    void this.fastify.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser("*", (_request, _payload, done) => done(null)); // The rpc's story reads it.
      scope.route({
        method: scope.supportedMethods,
        url: "*",
        handler: this.#serve,
        errorHandler: (error, _request, reply) => this.#errors.send(reply, error),
        ...(this.#options.contentType === "lenient" ? { onRequest: acceptAnyType } : {}),
      });
    });
  }

  readonly #serve = (request: FastifyRequest, reply: FastifyReply): void => {
    const { method, url = "" } = request.raw;
    if (this.#health?.answer(url, request, reply) === true) return;
    const table = this.#table;
    if (table === undefined || this.#waiting) {
      this.#errors.send(
        reply,
        new ConnectError("the routes of this gateway are not loaded yet", Code.Unavailable),
      );
      return;
    }
    if (url === "*") {
      void reply.code(204).send();
      return;
    }
    const match = table.router.match(method ?? "", url);
    switch (match.kind) {
      case "found": {
        const entry = table.entry(match.route);
        (reply.raw as Exchange).route = entry.name; // Every server here makes its responses of this class.
        entry.handle(match, request, reply);
        return;
      }
      case "method-not-allowed":
        return answerOtherMethod(match.allow, request, reply, this.#errors);
      case "bad-path":
        return this.#errors.send(reply, match.error);
      case "not-found":
        return this.#errors.send(
          reply,
          new HttpError(404, `no route for ${request.method} ${url.split("?", 1)[0]}`),
        );
    }
  };

  async #listen(): Promise<void> {
    const { host, port } = this.#options;
    try {
      await this.fastify.listen({ host, port });
    } catch (error) {
      throw error instanceof Error ? listenError(this.name, { host, port }, error) : error;
    }
    const bound = this.fastify.server.address() as AddressInfo; // Bound to a TCP port just now.
    this.#address = { host: bound.address, port: bound.port };
  }

  #compile(services: readonly DescService[]): RouteTable {
    const options = this.#options;
    return new RouteTable(services, {
      ...options,
      caller: this.#caller,
      errors: this.#errors,
      requestMetadata: this.#requestMetadata,
      replyMetadata: this.#replyMetadata,
      bodyLimits: options,
      bind: options,
      json: options,
      registry: this.#registry,
      lenientContentType: options.contentType === "lenient",
      router: { ...options, reservedPaths: options.healthPaths ? healthPaths : [] },
      rules: this.#rules,
      onIgnored: ignoredTeller(options),
    });
  }

  #useRegistry(registry: Registry | undefined): void {
    this.#registry = registry;
    this.#errors.useRegistry(registry);
  }

  #isReady(): boolean {
    return this.state === "ready" && !this.#draining && !this.#waiting;
  }
}

function upstreamCaller({ upstream, dial, dialOptions }: HttpServerOptions): {
  caller: Caller;
  close: () => void;
} {
  if (typeof upstream !== "string" && !("dispatcher" in upstream)) {
    return { caller: toCaller(upstream), close: () => {} };
  }
  const caller = dialCaller(upstream, { ...dialOptions, network: dial === "network" });
  return { caller, close: () => caller.close() };
}

function requestTeller({ httpObservers }: HttpServerOptions): ((exchange: Exchange) => void) | undefined {
  if (httpObservers.length === 0) return undefined;
  return (exchange) => {
    const { route = "(none)", req, outcome, startedAt } = exchange;
    const seconds = (performance.now() - startedAt) / 1000;
    for (const observer of httpObservers) observer.httpRequest?.(route, req.method ?? "", outcome, seconds);
  };
}

function ignoredTeller({
  httpObservers,
}: HttpServerOptions): ((route: string, place: "query" | "body", name: string) => void) | undefined {
  if (httpObservers.length === 0) return undefined;
  return (route, place, name) => {
    for (const observer of httpObservers) {
      observer.ignoredUnknown?.(route, place === "body" ? "field" : "query", 1, name);
    }
  };
}

/** The engine refuses content types that are malformed before our reading of bodies could be lenient. */
function acceptAnyType(request: FastifyRequest, _reply: FastifyReply, done: () => void): void {
  request.headers = { "content-type": "application/json" };
  done();
}
