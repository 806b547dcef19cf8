import type { CallSource } from "../../core/admission/arrived-call.ts";
import type { BookedConnection } from "../../core/call/booked-connection.ts";
import type { CallContext } from "../../core/call/context.ts";
import type { EdgeRequest } from "../../core/call/edge-request.ts";
import { Code, type ConnectError } from "../../core/errors/errors.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type { HttpExchange, InnerCalls, RequestHead } from "../http/exchange.ts";

/** The request by which calls come in: an `HttpExchange`, or what is left of the handshake of an open socket. */
export interface CallOrigin extends Omit<CallSource, "head">, Pick<EdgeRequest, "cookies"> {
  readonly head: Pick<RequestHead, "method" | "url" | "headers" | "rawHeaders" | "requestId"> &
    Partial<Pick<RequestHead, "httpVersion">>;
  /** The identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** The open socket in the book of a hub; undefined for requests, and where there is no hub. */
  readonly connection?: BookedConnection | undefined;
}

/**
 * Several calls that come in by one request, or by one open socket: they are cancelled together. Observers are told of
 * each as of a call over a WebSocket, and of the request beside them.
 */
export class CallGroup implements InnerCalls {
  readonly origin: CallOrigin;
  /** When the client's timeout began, in `performance.now()` milliseconds; undefined where each call has its own. */
  readonly #startedAt: number | undefined;
  readonly #calls = new Set<CallContext>();
  #reason: ConnectError | undefined;
  #isDraining = false;

  private constructor(origin: CallOrigin, startedAt: number | undefined) {
    this.origin = origin;
    this.#startedAt = startedAt;
  }

  /** The calls of an exchange: they are cancelled when its client leaves before the answer is complete. */
  static of(exchange: HttpExchange): CallGroup {
    const group = new CallGroup(exchange, exchange.arrivedAt);
    exchange.innerCalls = group;
    return group;
  }

  /** The calls of a socket, or of anything else that is open for long. The face aborts it when that closes. */
  static ofSocket(origin: CallOrigin): CallGroup {
    return new CallGroup(origin, undefined);
  }

  /** How much of the client's timeout has passed, in milliseconds. */
  get ageMs(): number {
    return this.#startedAt === undefined ? 0 : performance.now() - this.#startedAt;
  }

  /** How many calls are under way. */
  get size(): number {
    return this.#calls.size;
  }

  /** Whether the client has left. */
  get hasLeft(): boolean {
    return this.#reason?.code === Code.Canceled;
  }

  /** A call has begun; it leaves the group when it ends. */
  add(call: CallContext): void {
    this.#calls.add(call);
    call.onEnd(this);
    if (this.#reason !== undefined) call.abort(this.#reason);
    if (this.#isDraining) call.drain();
  }

  ended(call: CallContext): void {
    this.#calls.delete(call);
  }

  drain(): void {
    this.#isDraining = true;
    for (const call of [...this.#calls]) call.drain();
  }

  abort(reason: ConnectError): void {
    this.#reason ??= reason;
    for (const call of [...this.#calls]) call.abort(reason);
  }
}
