import { setTimeout as wait } from "node:timers/promises";
import type { DescMethod } from "@bufbuild/protobuf";
import { noticeAfterMs, type StopReport } from "../../../core/lifecycle/lifecycle.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { notifyUnserved } from "../../../core/call/observer.ts";
import { toCallError } from "../../../core/errors/errors.ts";
import { incompleteRequest } from "../../http/disconnect-error.ts";
import type { HttpExchange, RequestHead, UpgradeRequest } from "../../http/exchange.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import { HttpError } from "../../http/http-error.ts";
import type { Door, DoorHandler, MakeDoor } from "../door.ts";
import { liveTimes } from "../../../core/admission/connection-book.ts";
import type { DoorKit } from "../door-kit.ts";
import type { ServedRpcs } from "../served-rpcs.ts";
import type { Route } from "../../../core/http-rule/route.ts";
import type { FaceSocketPath } from "../../faces/face-socket.ts";
import type { RouteCall } from "../../routing/route-call.ts";
import { CallableMethods } from "./callable-methods.ts";
import { ClientSocket } from "./client-socket.ts";
import { checkFaceHandshake, FaceEndpoint, originOf } from "./face-endpoint.ts";
import { asksForWebSocket, handshakeProblem, offeredProtocols } from "../../http/websocket-handshake.ts";
import { EnteredSocket } from "./entered-socket.ts";
import { MultiplexSocket } from "./multiplex-socket.ts";
import type { OpenSocket } from "./open-socket.ts";
import { OriginCheck } from "../../http/origin-check.ts";
import { RouteSocket } from "./route-socket.ts";
import { pathOf } from "../../../core/net/request-target.ts";
import { SocketEngine } from "../../fastify/socket-engine.ts";
import { withHeaders } from "../../http/socket-headers.ts";
import {
  askSocketCall,
  boundMessage,
  checkHeaders,
  compileSocketRoute,
  newSocketCall,
  type SocketRoute,
} from "./socket-route.ts";
import { sideOf } from "./socket-side.ts";

/** How long aborted calls may take to send their errors, in milliseconds. */
const abortGraceMs = 250;

/** WebSockets (RFC 6455): for one call at every route, and for many calls at one endpoint. */
export const webSocketDoor: MakeDoor = (kit, current) => new WebSockets(kit, current);

/** Answers handshakes and tracks all open sockets. */
class WebSockets implements Door {
  readonly name = "websocket";
  readonly #kit: DoorKit;
  readonly #current: () => ServedRpcs | undefined;
  /** Undefined if WebSockets are off. */
  readonly #engine: SocketEngine | undefined;
  /** Those of each set of rpcs, since limits and types may be others in the next one. */
  readonly #routes = new WeakMap<ServedRpcs, WeakMap<Route, SocketRoute>>();
  readonly #methods = new WeakMap<ServedRpcs, CallableMethods>();
  readonly #open = new Set<OpenSocket>();
  #draining = false;
  #idle: (() => void) | undefined;

  /** @throws SetupError naming the option that is wrong */
  constructor(kit: DoorKit, current: () => ServedRpcs | undefined) {
    const { multiplexPath, allowedOrigins, webSockets } = kit.sockets;
    if (multiplexPath !== undefined && !/^\/[^?#]*$/.test(multiplexPath)) {
      throw new SetupError(`multiplexPath: ${JSON.stringify(multiplexPath)} is no path`);
    }
    this.#kit = kit;
    this.#current = current;
    void new OriginCheck(allowedOrigins); // Throws for entries that are wrong.
    this.#engine = webSockets ? new SocketEngine(kit.sockets) : undefined;
  }

  claims(head: RequestHead): boolean {
    return head.headers.upgrade !== undefined && this.#engine !== undefined && asksForWebSocket(head);
  }

  /** Answers handshakes: with 101, or with an error over plain HTTP. */
  serve(rpcs: ServedRpcs): DoorHandler {
    const origins = new OriginCheck(this.#kit.sockets.allowedOrigins);
    return (exchange) => {
      const { upgrade, head } = exchange;
      if (upgrade === undefined) return false; // Its connection has pending answers.
      try {
        const problem = handshakeProblem(head) ?? origins.problem(head.headers);
        if (problem !== undefined) throw problem;
        if (this.#draining) throw notNow();
        const path = pathOf(head.url);
        const face = this.#kit.faces?.socketsAt(path);
        if (face !== undefined) void this.#openFace(exchange, upgrade, face);
        else if (path === this.#kit.sockets.multiplexPath) this.#openMultiplex(exchange, upgrade);
        else this.#openRoute(exchange, upgrade, rpcs);
      } catch (reason) {
        this.#kit.errors.send(exchange, reason);
      }
      return true;
    };
  }

  /** The server stops: no new sockets and calls begin, and sockets close with 1001 as soon as no call is in flight. */
  async stop(graceMs: number): Promise<StopReport> {
    this.#draining = true;
    const before = this.#calls().length;
    for (const socket of [...this.#open]) socket.drain();
    const noticeMs = noticeAfterMs(graceMs);
    await this.#closed(noticeMs);
    const ended = [...this.#open].map((socket) => ({ socket, names: socket.notify() }));
    await this.#closed(graceMs - noticeMs);
    // A client that does not read the ends of its calls still has an open socket without calls.
    const isUnread = (socket: OpenSocket): boolean => this.#open.has(socket) && socket.calls.length === 0;
    const unread = ended.filter(({ socket }) => isUnread(socket)).flatMap(({ names }) => names);
    const notified = ended.filter(({ socket }) => !isUnread(socket)).flatMap(({ names }) => names);
    const cut = [...this.#calls(), ...unread];
    for (const socket of [...this.#open]) socket.cut();
    if (this.#open.size > 0) await this.#closed(abortGraceMs);
    await this.#engine?.close();
    return { finished: Math.max(before - cut.length - notified.length, 0), notified, cut };
  }

  #openRoute(exchange: HttpExchange, upgrade: UpgradeRequest, rpcs: ServedRpcs): void {
    const { head, peer } = exchange;
    const { url, requestId } = head;
    const { route, call } = findRoute(rpcs, url);
    exchange.route = route.template.text;
    const plan = this.#routeOf(route, rpcs);
    const chosen = plan.choose(offeredProtocols(head));
    const { headersInFrame } = upgrade;
    const headers = withHeaders(head.headers, upgrade.headers);
    const askedMs = checkHeaders(plan, headers);
    const entered = this.#enter(exchange, upgrade, route.method);
    const side = sideOf(exchange, entered?.connection);
    const request = { call, chosen, headers, headersInFrame, peer, url, requestId, ...side };
    const open = (context: CallContext | undefined): void => {
      if (!plan.needsFrame) boundMessage(chosen, call); // An invalid path or query is answered over plain HTTP.
      this.#accept(exchange, upgrade, chosen.protocol, entered, (socket) => {
        const opened = new RouteSocket(socket, plan, request);
        opened.open(context);
        return opened;
      });
    };
    if (headersInFrame) {
      try {
        open(undefined);
      } catch (reason) {
        entered?.refused();
        throw reason;
      }
      return;
    }
    const context = newSocketCall(plan, request, headers, askedMs);
    // A handshake that is refused leaves the book; behind it the socket does when it closes.
    if (entered !== undefined) context.onEnd({ ended: () => entered.refused() });
    try {
      const admitted = askSocketCall(plan, request, headers, context);
      if (admitted === undefined) open(context);
      else void this.#openLater(admitted, context, exchange, open);
    } catch (reason) {
      context.end();
      notifyUnserved(plan.kind.observers, toCallError(reason), context);
      throw reason;
    }
  }

  /** Answers a handshake when the gates have decided on the call of its socket. Never rejects. */
  async #openLater(
    admitted: Promise<void>,
    context: CallContext,
    exchange: HttpExchange,
    open: (context: CallContext) => void,
  ): Promise<void> {
    const forget = exchange.onClose(() => context.abort(incompleteRequest()));
    try {
      await admitted;
      if (this.#draining) throw notNow();
      forget(); // The exchange ends with its answer, the call does not.
      open(context);
    } catch (reason) {
      forget();
      context.end();
      notifyUnserved(this.#kit.observers, toCallError(reason), context);
      this.#kit.errors.send(exchange, reason);
    }
  }

  /** Never rejects. */
  async #openFace(exchange: HttpExchange, upgrade: UpgradeRequest, path: FaceSocketPath): Promise<void> {
    try {
      exchange.route = pathOf(exchange.head.url);
      await checkFaceHandshake(path, exchange);
      if (this.#draining) throw notNow();
      if (exchange.answered || exchange.destroyed) return; // The client has left.
      const entered = this.#enter(exchange, upgrade, undefined);
      const origin = originOf(exchange, upgrade, entered?.connection);
      this.#accept(exchange, upgrade, path.protocol, entered, (socket) => {
        const opened = new FaceEndpoint(socket, path, origin, this.#kit.sockets.maxSocketCalls);
        opened.open();
        return opened;
      });
    } catch (reason) {
      this.#kit.errors.send(exchange, reason);
    }
  }

  #openMultiplex(exchange: HttpExchange, upgrade: UpgradeRequest): void {
    const { head, peer } = exchange;
    const { sockets, errors, replyMetadata, requestIds, observers, reports } = this.#kit;
    exchange.route = sockets.multiplexPath;
    const offered = offeredProtocols(head);
    if (offered.length > 0 && !offered.includes("json")) {
      throw new HttpError(400, "this endpoint speaks the subprotocol json, and the client does not offer it");
    }
    const { headersInFrame } = upgrade;
    const headers = withHeaders(head.headers, upgrade.headers);
    const entered = this.#enter(exchange, upgrade, undefined);
    const side = sideOf(exchange, entered?.connection);
    this.#accept(exchange, upgrade, offered.length === 0 ? undefined : "json", entered, (socket) => {
      const opened = new MultiplexSocket(socket, {
        errors,
        replyMetadata,
        maxSocketCalls: sockets.maxSocketCalls,
        maxSocketMessageBytes: sockets.maxSocketMessageBytes,
        find: (name) => this.#currentMethods().find(name),
        rpcOf: (name) => this.#current()?.at(`/${name}`),
        observers,
        reports,
        origin: { peer, requestIds, headers, side },
        times: this.#kit.book ?? liveTimes,
        headersInFrame,
      });
      opened.open();
      return opened;
    });
  }

  /** The socket in the book of the hub; undefined without one. @throws ConnectError by which the hub refuses it */
  #enter(
    { head: { headers }, remoteAddress }: HttpExchange,
    { socket }: UpgradeRequest,
    method: DescMethod | undefined,
  ): EnteredSocket | undefined {
    const { book, addresses } = this.#kit;
    if (book === undefined) return undefined;
    const address = addresses.ofHead(headers, remoteAddress).ip;
    const userAgent = headers["user-agent"] ?? "";
    const sentBytes = (): number => socket.bytesWritten;
    const waitingBytes = (): number => socket.writableLength;
    return new EnteredSocket(socket, (close) =>
      book.openSocket({ address, userAgent, method, sentBytes, waitingBytes, close }),
    );
  }

  #accept(
    exchange: HttpExchange,
    upgrade: UpgradeRequest,
    protocol: string | undefined,
    entered: EnteredSocket | undefined,
    open: (socket: ClientSocket) => OpenSocket,
  ): void {
    const { request, socket, head } = upgrade;
    const { requestId } = exchange.head;
    exchange.handOver(upgrade);
    entered?.accepted();
    this.#engine?.accept({ request, socket, head, protocol, requestId }, (ws) => {
      const opened = open(new ClientSocket(ws, socket, this.#kit.sockets, entered?.connection));
      if (entered !== undefined) entered.opened = opened;
      this.#open.add(opened);
      ws.once("close", () => {
        this.#open.delete(opened);
        if (this.#open.size === 0) this.#idle?.();
      });
    });
  }

  #routeOf(route: Route, rpcs: ServedRpcs): SocketRoute {
    let routes = this.#routes.get(rpcs);
    if (routes === undefined) this.#routes.set(rpcs, (routes = new WeakMap<Route, SocketRoute>()));
    let compiled = routes.get(route);
    if (compiled === undefined) {
      compiled = compileSocketRoute(route, rpcs.kitOf(route.method, route.template.text, this.#kit));
      routes.set(route, compiled);
    }
    return compiled;
  }

  /** The current rpcs: a multiplexed socket outlives the set with which it was opened. */
  #currentMethods(): CallableMethods {
    const current = this.#current();
    if (current === undefined) throw new HttpError(503, "the routes of this gateway are not loaded yet");
    let methods = this.#methods.get(current);
    if (methods === undefined) {
      methods = new CallableMethods(current, this.#kit);
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

function notNow(): HttpError {
  return new HttpError(503, "no sockets are opened now");
}

/** The route of a target: that of GET, else the only rpc with a route for the path and another HTTP method. */
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
