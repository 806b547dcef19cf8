import type { FastifyReply } from "fastify";
import type { CallContext } from "../../core/call/context.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type {
  HttpExchange,
  RequestBody,
  RequestHead,
  ResponseBody,
  ResponseHeaders,
  ResponseOptions,
  ResponseTrailers,
  UpgradeRequest,
} from "../http/exchange.ts";

/**
 * An exchange that passes through Fastify: hooks of the user's own have seen its request, see its answer where that is
 * sent whole, and may have added headers to it.
 */
export class FastifyExchange implements HttpExchange {
  readonly #under: HttpExchange;
  readonly #reply: FastifyReply;

  /** @param under the exchange of the connection */
  constructor(under: HttpExchange, reply: FastifyReply) {
    this.#under = under;
    this.#reply = reply;
  }

  get head(): RequestHead {
    return this.#under.head;
  }

  get body(): RequestBody {
    return this.#under.body;
  }

  get peer(): PeerIdentity | undefined {
    return this.#under.peer;
  }

  get arrivedAt(): number {
    return this.#under.arrivedAt;
  }

  get upgrade(): UpgradeRequest | undefined {
    return this.#under.upgrade;
  }

  get stopping(): ConnectError | undefined {
    return this.#under.stopping;
  }

  get answered(): boolean {
    return this.#reply.sent || this.#under.answered;
  }

  get destroyed(): boolean {
    return this.#under.destroyed;
  }

  get call(): CallContext | undefined {
    return this.#under.call;
  }

  get route(): string | undefined {
    return this.#under.route;
  }

  set route(route: string | undefined) {
    this.#under.route = route;
  }

  get onStop(): HttpExchange["onStop"] {
    return this.#under.onStop;
  }

  set onStop(listener: HttpExchange["onStop"]) {
    this.#under.onStop = listener;
  }

  attach(call: CallContext): void {
    this.#under.attach(call);
  }

  onClose(listener: () => void): () => void {
    return this.#under.onClose(listener);
  }

  respond(
    status: number,
    headers: ResponseHeaders,
    body: string | Uint8Array | undefined,
    trailers: ResponseTrailers = [],
  ): void {
    const reply = this.#reply;
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
    const body = this.#under.respondInParts(status, all, options);
    this.#reply.hijack();
    return body;
  }

  continueBody(): void {
    this.#under.continueBody();
  }

  closeAfter(): void {
    this.#under.closeAfter();
  }

  handOver(upgrade: UpgradeRequest): void {
    this.#reply.hijack();
    this.#under.handOver(upgrade);
  }

  destroy(): void {
    this.#under.destroy();
  }
}

/** A payload that is text already. */
function asIs(payload: unknown): string {
  return String(payload);
}
