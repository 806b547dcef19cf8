import type { AddressInfo } from "node:net";
import type { DescService, Registry } from "@bufbuild/protobuf";
import type { FastifyInstance } from "fastify";
import { interceptCaller, type Caller } from "../core/caller.ts";
import { toCaller } from "../core/transport.ts";
import { dialCaller } from "../core/dial.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ManagedServer,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../core/lifecycle.ts";
import { formatAddress, listenError, unixPath, type ListenAddress } from "../core/listener.ts";
import type { AnyService } from "../core/service.ts";
import { ForBrowsers } from "./browser/for-browsers.ts";
import { ErrorWriter } from "./error-writer.ts";
import type { Exchange } from "./exchange.ts";
import { HttpEngine } from "./http-engine.ts";
import { httpServerDefaults, type HttpServerOptions } from "./http-server-options.ts";
import { observeCaller } from "./observe-caller.ts";
import { PortGuard } from "./port-guard.ts";
import { ReplyMetadata } from "./reply-metadata.ts";
import { RequestRouter } from "./request-router.ts";
import { samplePath } from "./routing/sample-path.ts";
import { stopExchanges } from "./stop-exchanges.ts";
import { WebSockets } from "./websocket/web-sockets.ts";

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
  readonly #browsers: ForBrowsers;
  readonly #guard: PortGuard;
  readonly #engine: HttpEngine;
  readonly #router: RequestRouter;
  readonly #sockets: WebSockets;
  readonly #closeUpstream: () => void;
  #draining = false;
  #mounted = false;
  #address: ListenAddress | undefined;
  #binding: Promise<void> | undefined;
  #stopping: Promise<StopReport> | undefined;

  /** @throws TypeError or Error naming the option that is wrong */
  constructor(options: Partial<HttpServerOptions> & Pick<HttpServerOptions, "upstream">) {
    const merged: HttpServerOptions = { ...httpServerDefaults, ...options };
    this.#options = merged;
    const metadata = new ReplyMetadata({
      dropResponseHeaders: merged.dropResponseHeaders,
      grpcMetadataPrefix: merged.compat === "grpc-gateway",
    });
    const { errorFormat, challenge, interceptors, observers, maxBodyBytes } = merged;
    this.#errors = new ErrorWriter({ errorFormat, challenge, metadata });
    this.#browsers = new ForBrowsers(merged);
    const upstream = upstreamCaller(merged);
    this.#closeUpstream = upstream.close;
    this.#sockets = new WebSockets({ ...merged, errors: this.#errors, replyMetadata: metadata });
    this.#router = new RequestRouter({
      options: merged,
      sockets: this.#sockets,
      browsers: this.#browsers,
      caller: observeCaller(interceptCaller(upstream.caller, interceptors), observers),
      healthCaller: upstream.caller,
      errors: this.#errors,
      replyMetadata: metadata,
      isServing: () => this.state === "ready" && !this.#draining,
    });
    this.#guard = new PortGuard(merged, this.#errors, requestTeller(merged), this.#browsers.prepare);
    this.#engine = new HttpEngine({
      guard: this.#guard,
      errors: this.#errors,
      maxBodyBytes,
      answer: this.#router.answerWhole,
    });
    this.fastify = this.#engine.fastify;
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
    return this.#router.services;
  }

  /**
   * Serves the rpcs of a service, given by itself or by its descriptor alone.
   *
   * @throws Error when it is registered already, a rule of it is wrong, or a route of it clashes with another's. With
   * rules outside the proto, which may speak of services yet to come, `start()` rejects instead.
   */
  addService(service: AnyService | DescService): this {
    this.#router.add("descriptor" in service ? service.descriptor : service, this.state === "ready");
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
    this.#router.replace(services, registry);
  }

  /**
   * Binds the port and serves. Resolves without serving when the server is stopped meanwhile.
   *
   * @throws Error that names host, port and cause when the port cannot be bound, or the rule that is wrong
   */
  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    this.#binding = this.#bind();
    try {
      await this.#binding;
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
    const address = this.#address ?? this.#options;
    const routes = this.#router.table.describe().map((line) => `[HTTP] ${line}`);
    return [`[HTTP] listening on ${formatAddress(address)}`, ...routes];
  }

  /**
   * A path to try: of the first `GET` that takes no values, else of the first with values filled in; undefined without
   * such a route.
   */
  get samplePath(): string | undefined {
    return samplePath(this.#router.table.router.routes);
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
    const { state } = this;
    if (state === "boot" || state === "listen" || state === "ready") this.#lifecycle.enter("graceful");
    // A port that is being bound can only be let go when it is bound; how that fails is `start`'s to tell.
    await this.#binding?.catch(() => {});
    this.#guard.closeListeners();
    const [calls, sockets] = await Promise.all([
      stopExchanges(this.#guard, graceMs),
      this.#sockets.stop(graceMs),
    ]);
    this.#router.close();
    this.#guard.cutConnections();
    await this.fastify.close();
    this.#closeUpstream();
    this.#lifecycle.enter("stop");
    return { finished: calls.finished + sockets.finished, cut: [...calls.cut, ...sockets.cut] };
  }

  async #bind(): Promise<void> {
    const { host, port, contentType } = this.#options;
    void this.#router.table; // What is wrong with rules and routes shows here at the latest.
    if (!this.#mounted) {
      this.#engine.mount({
        serve: this.#router.serve,
        anyContentType: contentType === "lenient",
        addHooks: (scope) => this.#browsers.addHooks(scope),
      });
    }
    this.#mounted = true;
    await this.fastify.ready();
    if (this.state !== "boot") return; // Stopped meanwhile.
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
