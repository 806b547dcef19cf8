import type { FastifyReply } from "fastify";
import type { CallContext } from "../../core/call/context.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import {
  addCookies,
  type HttpExchange,
  type RequestBody,
  type RequestHead,
  type ResponseBody,
  type ResponseHeaders,
  type ResponseOptions,
  type ResponseTrailers,
  type UpgradeRequest,
} from "../http/exchange.ts";

/**
 * An exchange that passes through Fastify: the user's hooks have run for its request and may have added response
 * headers, and run for its answer if that is sent whole.
 */
export class FastifyExchange implements HttpExchange {
  readonly #inner: HttpExchange;
  readonly #reply: FastifyReply;

  /** @param inner the exchange of the connection */
  constructor(inner: HttpExchange, reply: FastifyReply) {
    this.#inner = inner;
    this.#reply = reply;
  }

  get head(): RequestHead {
    return this.#inner.head;
  }

  get body(): RequestBody {
    return this.#inner.body;
  }

  get peer(): PeerIdentity | undefined {
    return this.#inner.peer;
  }

  get arrivedAt(): number {
    return this.#inner.arrivedAt;
  }

  get upgrade(): UpgradeRequest | undefined {
    return this.#inner.upgrade;
  }

  get isSecure(): boolean {
    return this.#inner.isSecure;
  }

  get remoteAddress(): string | undefined {
    return this.#inner.remoteAddress;
  }

  get cookies(): HttpExchange["cookies"] {
    return this.#inner.cookies;
  }

  set cookies(cookies: HttpExchange["cookies"]) {
    this.#inner.cookies = cookies;
  }

  get stopping(): ConnectError | undefined {
    return this.#inner.stopping;
  }

  get answered(): boolean {
    return this.#reply.sent || this.#inner.answered;
  }

  get destroyed(): boolean {
    return this.#inner.destroyed;
  }

  get call(): CallContext | undefined {
    return this.#inner.call;
  }

  get innerCalls(): HttpExchange["innerCalls"] {
    return this.#inner.innerCalls;
  }

  set innerCalls(calls: HttpExchange["innerCalls"]) {
    this.#inner.innerCalls = calls;
  }

  get route(): string | undefined {
    return this.#inner.route;
  }

  set route(route: string | undefined) {
    this.#inner.route = route;
  }

  get onStop(): HttpExchange["onStop"] {
    return this.#inner.onStop;
  }

  set onStop(listener: HttpExchange["onStop"]) {
    this.#inner.onStop = listener;
  }

  attach(call: CallContext): void {
    this.#inner.attach(call);
  }

  onClose(listener: () => void): () => void {
    return this.#inner.onClose(listener);
  }

  respond(
    status: number,
    headers: ResponseHeaders,
    body: string | Uint8Array | undefined,
    trailers: ResponseTrailers = [],
  ): void {
    const reply = this.#reply;
    addCookies(headers, this);
    void reply.code(status).headers(headers);
    for (const [name, value] of trailers) reply.trailer(name, (_reply, _payload, done) => done(null, value));
    if (typeof body === "string") void reply.serializer(asIs);
    void reply.send(body);
  }

  respondInParts(status: number, headers: ResponseHeaders, options?: ResponseOptions): ResponseBody {
    const all: ResponseHeaders = {};
    for (const [name, value] of Object.entries(this.#reply.getHeaders())) {
      if (value !== undefined) all[name] = typeof value === "number" ? String(value) : value;
    }
    const vary = [all["vary"], headers["vary"]].flat().filter((field) => field !== undefined);
    Object.assign(all, headers, vary.length === 0 ? {} : { vary });
    const body = this.#inner.respondInParts(status, all, options);
    this.#reply.hijack();
    return body;
  }

  continueBody(): void {
    this.#inner.continueBody();
  }

  closeAfter(): void {
    this.#inner.closeAfter();
  }

  handOver(upgrade: UpgradeRequest): void {
    this.#reply.hijack();
    this.#inner.handOver(upgrade);
  }

  destroy(): void {
    this.#inner.destroy();
  }
}

/** Serializes a payload that is already text. */
function asIs(payload: unknown): string {
  return String(payload);
}
