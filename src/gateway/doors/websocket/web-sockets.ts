import { setTimeout as wait } from "node:timers/promises";
import type { FastifyReply, FastifyRequest } from "fastify";
import { noticeAfterMs, type StopReport } from "../../../core/lifecycle/lifecycle.ts";
import type { ErrorWriter } from "../../http/error-writer.ts";
import type { Exchange, UpgradeRequest } from "../../http/exchange.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import { HttpError } from "../../http/http-error.ts";
import type { ReplyMetadata } from "../../http/reply-metadata.ts";
import type { RouteTable } from "../route-table.ts";
import type { Route } from "../../routing/route.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import { CallableMethods } from "./callable-methods.ts";
import { ClientSocket } from "./client-socket.ts";
import { handshakeProblem, offeredProtocols } from "../../http/websocket-handshake.ts";
import { MultiplexSocket } from "./multiplex-socket.ts";
import type { OpenSocket } from "./open-socket.ts";
import { OriginCheck } from "../../http/origin-check.ts";
import { RouteSocket } from "./route-socket.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import { SocketEngine } from "../../fastify/socket-engine.ts";
import { withHeaders } from "../../http/socket-headers.ts";
import { boundMessage, checkHeaders, compileSocketRoute, type SocketRoute } from "./socket-route.ts";
import type { WebSocketOptions } from "./websocket-options.ts";

/** What `WebSockets` is made of. */
export interface WebSocketsOptions extends WebSocketOptions {
  readonly errors: ErrorWriter;
  readonly replyMetadata: ReplyMetadata;
}

/** How long calls that were cut may take to say so, in milliseconds. */
const lastWordsMs = 250;

/** Answers handshakes and knows every open socket: the WebSocket side of the gateway (RFC 6455). */
export class WebSockets {
  readonly #options: WebSocketsOptions;
  readonly #origins: OriginCheck;
  /** Undefined where no sockets are opened. */
  readonly #engine: SocketEngine | undefined;
  readonly #routes = new WeakMap<Route, SocketRoute>();
  readonly #methods = new WeakMap<RouteTable, CallableMethods>();
  readonly #open = new Set<OpenSocket>();
  #leaving = false;
  #idle: (() => void) | undefined;

  /** @throws SetupError naming the option that is wrong */
  constructor(options: WebSocketsOptions) {
    const { multiplexPath } = options;
    if (multiplexPath !== undefined && !/^\/[^?#]*$/.test(multiplexPath)) {
      throw new SetupError(`multiplexPath: ${JSON.stringify(multiplexPath)} is no path`);
    }
    this.#options = options;
    this.#origins = new OriginCheck(options.allowedOrigins);
    this.#engine = options.webSockets ? new SocketEngine(options) : undefined;
  }

  /** How many sockets are open. */
  get size(): number {
    return this.#open.size;
  }

  /**
   * Answers a handshake: 101 and a socket, or why not as plain HTTP.
   *
   * @param table the routes of now; undefined while there are none
   */
  serve(request: FastifyRequest, reply: FastifyReply, table: () => RouteTable | undefined): void {
    const exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
    try {
      const problem = handshakeProblem(request.raw) ?? this.#origins.problem(request.raw.headers);
      if (problem !== undefined) throw problem;
      const current = table();
      if (current === undefined || this.#leaving) throw new HttpError(503, "no sockets are opened now");
      const { upgrade } = exchange;
      if (upgrade === undefined) throw new TypeError("only handshakes are answered here");
      if (pathOf(exchange.req.url ?? "") === this.#options.multiplexPath)
        this.#openMultiplex(exchange, upgrade, reply, table);
      else this.#openRoute(exchange, upgrade, reply, current);
    } catch (reason) {
      this.#options.errors.send(reply, reason);
    }
  }

  /** The server stops: no new sockets and calls; sockets close with 1001 as soon as no call is under way. */
  async stop(graceMs: number): Promise<StopReport> {
    this.#leaving = true;
    const before = this.#calls().length;
    for (const socket of [...this.#open]) socket.leave();
    const noticeMs = noticeAfterMs(graceMs);
    await this.#closed(noticeMs);
    const told = [...this.#open].map((socket) => ({ socket, names: socket.notify() }));
    await this.#closed(graceMs - noticeMs);
    // A client that does not read what it is told still has its socket, though no call is left on it.
    const isDeaf = (socket: OpenSocket): boolean => this.#open.has(socket) && socket.calls.length === 0;
    const deaf = told.filter(({ socket }) => isDeaf(socket)).flatMap(({ names }) => names);
    const notified = told.filter(({ socket }) => !isDeaf(socket)).flatMap(({ names }) => names);
    const cut = [...this.#calls(), ...deaf];
    for (const socket of [...this.#open]) socket.cut();
    if (this.#open.size > 0) await this.#closed(lastWordsMs);
    await this.#engine?.close();
    return { finished: Math.max(before - cut.length - notified.length, 0), notified, cut };
  }

  #openRoute(exchange: Exchange, upgrade: UpgradeRequest, reply: FastifyReply, table: RouteTable): void {
    const { req } = exchange;
    const url = req.url ?? "";
    const { route, call } = findRoute(table, url);
    exchange.route = route.template.text;
    const plan = this.#routeOf(route, table);
    const chosen = plan.choose(offeredProtocols(req));
    const { headers, headersInFrame } = upgrade;
    const merged = withHeaders(req.headers, headers);
    const time = checkHeaders(plan, merged);
    if (!plan.needsFrame) boundMessage(chosen, call); // What is wrong with path and query is plain HTTP.
    this.#accept(exchange, upgrade, reply, chosen.protocol, (socket) => {
      const opened = new RouteSocket(socket, plan, {
        call,
        chosen,
        headers: merged,
        headersInFrame,
        peer: exchange.peer,
        url,
      });
      opened.open(time);
      return opened;
    });
  }

  #openMultiplex(
    exchange: Exchange,
    upgrade: UpgradeRequest,
    reply: FastifyReply,
    table: () => RouteTable | undefined,
  ): void {
    const { req } = exchange;
    exchange.route = this.#options.multiplexPath;
    const offered = offeredProtocols(req);
    if (offered.length > 0 && !offered.includes("json")) {
      throw new HttpError(400, "this endpoint speaks the subprotocol json, and the client does not offer it");
    }
    const { headers, headersInFrame } = upgrade;
    this.#accept(exchange, upgrade, reply, offered.length === 0 ? undefined : "json", (socket) => {
      const opened = new MultiplexSocket(socket, {
        ...this.#options,
        find: (name) => this.#methodsOf(table).find(name),
        headers: withHeaders(req.headers, headers),
        headersInFrame,
        peer: exchange.peer,
      });
      opened.open();
      return opened;
    });
  }

  #accept(
    exchange: Exchange,
    upgrade: UpgradeRequest,
    reply: FastifyReply,
    protocol: string | undefined,
    open: (socket: ClientSocket) => OpenSocket,
  ): void {
    reply.hijack();
    const { socket, head } = upgrade;
    exchange.handOver(upgrade);
    this.#engine?.accept({ request: exchange.req, socket, head, protocol }, (ws) => {
      const opened = open(new ClientSocket(ws, socket, this.#options));
      this.#open.add(opened);
      ws.once("close", () => {
        this.#open.delete(opened);
        if (this.#open.size === 0) this.#idle?.();
      });
    });
  }

  #routeOf(route: Route, table: RouteTable): SocketRoute {
    let compiled = this.#routes.get(route);
    if (compiled === undefined) {
      compiled = compileSocketRoute(route, table.optionsOf(route));
      this.#routes.set(route, compiled);
    }
    return compiled;
  }

  #methodsOf(table: () => RouteTable | undefined): CallableMethods {
    const current = table();
    if (current === undefined) throw new HttpError(503, "the routes of this gateway are not loaded yet");
    let methods = this.#methods.get(current);
    if (methods === undefined) {
      methods = new CallableMethods(current);
      this.#methods.set(current, methods);
    }
    return methods;
  }

  #calls(): string[] {
    return [...this.#open].flatMap(({ calls }) => calls);
  }

  async #closed(timeoutMs: number): Promise<void> {
    if (this.#open.size === 0) return;
    const timer = new AbortController();
    const idle = new Promise<void>((resolve) => (this.#idle = resolve));
    await Promise.race([idle, wait(timeoutMs, undefined, { signal: timer.signal }).catch(() => {})]);
    timer.abort();
  }
}

/** The route of a target: that of GET, else the one rpc that has the path for another HTTP method. */
function findRoute({ router }: RouteTable, url: string): { route: Route; call: RouteCall } {
  const match = router.match("GET", url);
  switch (match.kind) {
    case "found":
      return { route: match.route, call: match };
    case "bad-path":
      throw match.error;
    case "not-found":
      throw new HttpError(404, `no route for ${pathOf(url)}`);
    case "method-not-allowed":
  }
  const others = match.allow
    .map((httpMethod) => router.match(httpMethod, url))
    .filter((other) => other.kind === "found");
  const [first] = others;
  if (first === undefined || others.some(({ route }) => route.method !== first.route.method)) {
    throw new HttpError(400, "several rpcs have this path: open the socket on /package.Service/Method");
  }
  return { route: first.route, call: first };
}
