import { setTimeout as wait } from "node:timers/promises";
import { noticeAfterMs, type StopReport } from "../../../core/lifecycle/lifecycle.ts";
import type { HttpExchange, RequestHead, UpgradeRequest } from "../../http/exchange.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import { HttpError } from "../../http/http-error.ts";
import type { Door, DoorHandler, MakeDoor } from "../door.ts";
import type { DoorKit } from "../door-kit.ts";
import type { ServedRpcs } from "../served-rpcs.ts";
import type { Route } from "../../routing/route.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import { CallableMethods } from "./callable-methods.ts";
import { ClientSocket } from "./client-socket.ts";
import { asksForWebSocket, handshakeProblem, offeredProtocols } from "../../http/websocket-handshake.ts";
import { MultiplexSocket } from "./multiplex-socket.ts";
import type { OpenSocket } from "./open-socket.ts";
import { OriginCheck } from "../../http/origin-check.ts";
import { RouteSocket } from "./route-socket.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import { SocketEngine } from "../../fastify/socket-engine.ts";
import { withHeaders } from "../../http/socket-headers.ts";
import { boundMessage, checkHeaders, compileSocketRoute, type SocketRoute } from "./socket-route.ts";

/** How long calls that were cut may take to say so, in milliseconds. */
const lastWordsMs = 250;

/** WebSockets (RFC 6455): one that carries one call at every route, and one endpoint where a socket carries many. */
export const webSocketDoor: MakeDoor = (kit, present) => new WebSockets(kit, present);

/** Answers handshakes and knows every open socket. */
class WebSockets implements Door {
  readonly name = "websocket";
  readonly #kit: DoorKit;
  readonly #present: () => ServedRpcs | undefined;
  readonly #origins: OriginCheck;
  /** Undefined where no sockets are opened. */
  readonly #engine: SocketEngine | undefined;
  readonly #routes = new WeakMap<Route, SocketRoute>();
  readonly #methods = new WeakMap<ServedRpcs, CallableMethods>();
  readonly #open = new Set<OpenSocket>();
  #leaving = false;
  #idle: (() => void) | undefined;

  /** @throws SetupError naming the option that is wrong */
  constructor(kit: DoorKit, present: () => ServedRpcs | undefined) {
    const { multiplexPath, allowedOrigins, webSockets } = kit.sockets;
    if (multiplexPath !== undefined && !/^\/[^?#]*$/.test(multiplexPath)) {
      throw new SetupError(`multiplexPath: ${JSON.stringify(multiplexPath)} is no path`);
    }
    this.#kit = kit;
    this.#present = present;
    this.#origins = new OriginCheck(allowedOrigins);
    this.#engine = webSockets ? new SocketEngine(kit.sockets) : undefined;
  }

  claims(head: RequestHead): boolean {
    return head.headers.upgrade !== undefined && this.#engine !== undefined && asksForWebSocket(head);
  }

  /** Answers handshakes: with 101 and a socket, or with the reason against it as plain HTTP. */
  serve(rpcs: ServedRpcs): DoorHandler {
    return (exchange) => {
      const { upgrade, head } = exchange;
      if (upgrade === undefined) return false; // Its connection still owes an answer.
      try {
        const problem = handshakeProblem(head) ?? this.#origins.problem(head.headers);
        if (problem !== undefined) throw problem;
        if (this.#leaving) throw new HttpError(503, "no sockets are opened now");
        if (pathOf(head.url) === this.#kit.sockets.multiplexPath) this.#openMultiplex(exchange, upgrade);
        else this.#openRoute(exchange, upgrade, rpcs);
      } catch (reason) {
        this.#kit.errors.send(exchange, reason);
      }
      return true;
    };
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

  #openRoute(exchange: HttpExchange, upgrade: UpgradeRequest, rpcs: ServedRpcs): void {
    const { head, peer } = exchange;
    const { url } = head;
    const { route, call } = findRoute(rpcs, url);
    exchange.route = route.template.text;
    const plan = this.#routeOf(route, rpcs);
    const chosen = plan.choose(offeredProtocols(head));
    const { headersInFrame } = upgrade;
    const headers = withHeaders(head.headers, upgrade.headers);
    const askedMs = checkHeaders(plan, headers);
    if (!plan.needsFrame) boundMessage(chosen, call); // A wrong path or query is answered over plain HTTP.
    this.#accept(exchange, upgrade, chosen.protocol, (socket) => {
      const opened = new RouteSocket(socket, plan, { call, chosen, headers, headersInFrame, peer, url });
      opened.open(askedMs);
      return opened;
    });
  }

  #openMultiplex(exchange: HttpExchange, upgrade: UpgradeRequest): void {
    const { head, peer } = exchange;
    const { sockets, errors, replyMetadata } = this.#kit;
    exchange.route = sockets.multiplexPath;
    const offered = offeredProtocols(head);
    if (offered.length > 0 && !offered.includes("json")) {
      throw new HttpError(400, "this endpoint speaks the subprotocol json, and the client does not offer it");
    }
    const { headersInFrame } = upgrade;
    const headers = withHeaders(head.headers, upgrade.headers);
    this.#accept(exchange, upgrade, offered.length === 0 ? undefined : "json", (socket) => {
      const opened = new MultiplexSocket(socket, {
        errors,
        replyMetadata,
        maxSocketCalls: sockets.maxSocketCalls,
        maxSocketMessageBytes: sockets.maxSocketMessageBytes,
        find: (name) => this.#presentMethods().find(name),
        headers,
        headersInFrame,
        peer,
      });
      opened.open();
      return opened;
    });
  }

  #accept(
    exchange: HttpExchange,
    upgrade: UpgradeRequest,
    protocol: string | undefined,
    open: (socket: ClientSocket) => OpenSocket,
  ): void {
    const { request, socket, head } = upgrade;
    exchange.handOver(upgrade);
    this.#engine?.accept({ request, socket, head, protocol }, (ws) => {
      const opened = open(new ClientSocket(ws, socket, this.#kit.sockets));
      this.#open.add(opened);
      ws.once("close", () => {
        this.#open.delete(opened);
        if (this.#open.size === 0) this.#idle?.();
      });
    });
  }

  #routeOf(route: Route, rpcs: ServedRpcs): SocketRoute {
    let compiled = this.#routes.get(route);
    if (compiled === undefined) {
      compiled = compileSocketRoute(route, rpcs.kitOf(route.method, route.template.text, this.#kit));
      this.#routes.set(route, compiled);
    }
    return compiled;
  }

  /** The rpcs of the present: a socket of many calls outlives the set of them that it was opened with. */
  #presentMethods(): CallableMethods {
    const present = this.#present();
    if (present === undefined) throw new HttpError(503, "the routes of this gateway are not loaded yet");
    let methods = this.#methods.get(present);
    if (methods === undefined) {
      methods = new CallableMethods(present, this.#kit);
      this.#methods.set(present, methods);
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
function findRoute({ router }: ServedRpcs, url: string): { route: Route; call: RouteCall } {
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
