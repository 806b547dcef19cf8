import type { Socket } from "node:net";
import type { CallContext } from "../../../core/call/context.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { identityOf, type PeerIdentity } from "../../../core/metadata/peer-identity.ts";
import {
  type InnerCalls,
  addCookies,
  type HttpExchange,
  type RequestBody,
  type ResponseHeaders,
  type ResponseTrailers,
} from "../../http/exchange.ts";
import { cancelCall, type ExchangeOwner } from "../live-exchange.ts";
import type { TurnAnswer } from "./answer-turn.ts";
import { FastBody } from "./fast-body.ts";
import { HeadFields } from "../../http/head-fields.ts";
import { closeText, headText } from "./fast-reply.ts";
import type { FastHead } from "./head-reader.ts";
import type { TurnExchange } from "./turn-exchange.ts";

/** Answers an exchange whole. */
export type Answer = (exchange: HttpExchange) => void;

/** What an exchange of the fast lane needs of its connection. */
export interface FastCarrier {
  readonly socket: Socket;
  /** The lines that keep the connection behind an answer. */
  readonly keepText: string;
  /** The exchange is the one in flight. */
  begun(exchange: FastExchange): void;
  /** The answer of the exchange in flight is to be written, at the end of the turn at the latest. */
  ready(exchange: FastExchange): void;
  /** Is called when what was written last has been handed to the system. */
  readonly written: () => void;
}

/** An exchange of the fast lane: over HTTP/1.1, answered whole, without an object of Node's. */
export class FastExchange implements TurnExchange, TurnAnswer {
  livePlace = -1;
  arrivedAt = 0;
  call: CallContext | undefined;
  innerCalls: InnerCalls | undefined;
  cookies: string[] | null | undefined;
  route: string | undefined;
  onStop: ((reason: ConnectError) => void) | undefined;
  /** WebSockets are Node's lane's. */
  readonly upgrade = undefined;
  readonly head: FastHead;
  readonly wholeBody: Buffer | undefined;
  shouldKeepAlive: boolean;
  headersSent = false;
  writableFinished = false;
  readonly #carrier: FastCarrier;
  readonly #answer: Answer;
  #body: FastBody | undefined;
  #owner: ExchangeOwner | undefined;
  #status = 499;
  /** Whether the answer waits for the end of the turn. */
  #waits = false;
  /** The head of the answer, and what is written behind it. */
  #text = "";
  #content: string | Uint8Array | undefined;
  /** Bytes of the body. */
  #length = 0;
  #closed = false;
  #listeners: (() => void)[] | undefined;

  /** @param body the bytes of the whole body, or the body that is still to come; undefined for none */
  constructor(head: FastHead, carrier: FastCarrier, answer: Answer, body: Buffer | FastBody | undefined) {
    this.head = head;
    this.shouldKeepAlive = head.keepAlive;
    this.#carrier = carrier;
    this.#answer = answer;
    if (body instanceof FastBody) this.#body = body;
    this.wholeBody = body instanceof FastBody ? undefined : body;
  }

  get carrier(): Socket {
    return this.#carrier.socket;
  }

  get socket(): Socket {
    return this.#carrier.socket;
  }

  /** The body as a stream, which it is even where all bytes are there. */
  get body(): RequestBody {
    if (this.#body === undefined) {
      const { wholeBody } = this;
      this.#body = new FastBody(wholeBody?.length ?? 0, () => {});
      this.#body.add(wholeBody ?? Buffer.alloc(0));
    }
    return this.#body;
  }

  get lane(): "fast" {
    return "fast";
  }

  get requestComplete(): boolean {
    return this.#body === undefined || this.#body.complete;
  }

  get peer(): PeerIdentity | undefined {
    return identityOf(this.#carrier.socket);
  }

  get isSecure(): boolean {
    return "encrypted" in this.#carrier.socket;
  }

  get remoteAddress(): string | undefined {
    return this.#carrier.socket.remoteAddress;
  }

  get stopping(): ConnectError | undefined {
    return this.#owner?.stopping;
  }

  get answered(): boolean {
    return this.headersSent || this.destroyed;
  }

  get writableEnded(): boolean {
    return this.headersSent; // The whole answer is written at once.
  }

  get destroyed(): boolean {
    return this.#closed || this.#carrier.socket.destroyed;
  }

  get outcome(): number {
    return this.writableFinished ? this.#status : 499;
  }

  begin(owner: ExchangeOwner): void {
    this.#owner = owner;
    this.arrivedAt = performance.now();
    owner.onHead?.(this);
    this.#carrier.begun(this);
  }

  /** Calls what answers the request. */
  serve(): void {
    this.#answer(this);
  }

  attach(call: CallContext): void {
    this.call = call;
  }

  onClose(listener: () => void): () => void {
    const listeners = (this.#listeners ??= []);
    listeners.push(listener);
    return () => {
      const index = listeners.indexOf(listener);
      if (index >= 0) listeners.splice(index, 1);
    };
  }

  respond(
    status: number,
    headers: ResponseHeaders,
    body: string | Uint8Array | undefined,
    trailers: ResponseTrailers = [],
  ): void {
    if (this.headersSent) throw new TypeError("the answer has been sent already");
    if (trailers.length > 0) throw new TypeError("the client did not ask for trailers");
    let length = 0;
    if (body !== undefined) {
      length = Buffer.byteLength(body);
      headers["content-length"] = String(length);
    } else if (status !== 204 && status !== 304) headers["content-length"] = "0";
    if (this.cookies !== undefined) addCookies(headers, this);
    this.#owner?.completeHead?.(this, new HeadFields(headers), status);
    const { keepText } = this.#carrier;
    const head = headText(status, headers, this.shouldKeepAlive ? keepText : closeText);
    this.headersSent = true;
    this.#status = status;
    this.#text = head;
    this.#content = this.head.method === "HEAD" ? undefined : body;
    this.#length = length;
    this.#waits = true;
    this.#carrier.ready(this);
  }

  /** Writes the answer now, if there is one that waits for the end of the turn. */
  write(): void {
    const { socket, written } = this.#carrier;
    if (!this.#waits || !socket.writable) return;
    this.#waits = false;
    const text = this.#text;
    const content = this.#content;
    if (content === undefined) socket.write(text, "latin1", written);
    else if (this.#length === content.length && typeof content === "string") {
      socket.write(text + content, "latin1", written);
    } else {
      socket.cork();
      socket.write(text, "latin1");
      socket.write(content, written);
      socket.uncork();
    }
    this.#content = undefined;
  }

  respondInParts(): never {
    throw new TypeError("no answer in parts comes by the fast lane");
  }

  continueBody(): void {}

  closeAfter(): void {
    if (!this.headersSent) this.shouldKeepAlive = false;
  }

  handOver(): never {
    throw new TypeError("no WebSocket comes by the fast lane");
  }

  destroy(): void {
    this.#carrier.socket.destroy();
  }

  /** The connection is free for its next request, or closed. */
  release(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.writableFinished) cancelCall(this);
    this.#owner?.exchangeClosed(this);
    const listeners = this.#listeners;
    this.#listeners = undefined;
    if (listeners !== undefined) for (const listener of [...listeners]) listener();
  }
}
