import type { Message } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { CallContext } from "../../../../core/call/context.ts";
import { Code, ConnectError } from "../../../../core/errors/errors.ts";
import { toStatusMessage } from "../../../../core/errors/status-message.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { isForbiddenTrailer } from "../../../http/header-names.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import { takesTrailers } from "../../../http/trailers-wanted.ts";
import type { Answer } from "./answer.ts";
import type { Coding } from "../../../../core/wire/codings/coding.ts";
import type { StreamEncoder, StreamEncoding, Trailers } from "./stream-encoding.ts";
import type { StreamOptions } from "../stream-options.ts";
import { StreamWriter } from "../../../http/stream-writer.ts";

/** What an answer in pieces is made of. */
export interface StreamAnswerInit {
  readonly encoding: StreamEncoding;
  readonly encoder: StreamEncoder;
  readonly context: CallContext;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly errors: ErrorWriter;
  readonly replyMetadata: ReplyMetadata;
  readonly options: StreamOptions;
  /** How the answer is compressed. Default: not at all. */
  readonly coding?: Coding | undefined;
}

/** The stream has its head sent, or not yet, or is over. */
type State =
  | { readonly kind: "waiting" }
  | { readonly kind: "open"; readonly writer: StreamWriter }
  | { readonly kind: "over" };

/**
 * How long the head waits once the upstream's has come, in milliseconds: its first message, or why there is none, is
 * often right behind.
 */
const settleMs = 20;

/** An answer whose messages leave as they come. */
export class StreamAnswer implements Answer<string> {
  readonly #init: StreamAnswerInit;
  readonly #exchange: Exchange;
  #state: State = { kind: "waiting" };
  #flushTimer: NodeJS.Timeout | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #leaving = false;

  constructor(init: StreamAnswerInit) {
    const { context, reply, options } = init;
    this.#init = init;
    this.#exchange = reply.raw as Exchange; // Every server here makes its responses of this class.
    this.#beginWithin(options.headerFlushMs);
    context.onResponseHeader(() => this.#beginWithin(Math.min(options.headerFlushMs, settleMs)));
    const { encoder } = init;
    if (!encoder.saysErrors) return;
    const comesAgain = encoder.leave !== undefined;
    const leave = (this.#exchange.leave = (reason: ConnectError): void => {
      this.#leaving = true;
      if (comesAgain) this.begin();
      context.abort(reason);
    });
    const stopping = this.#exchange.owner?.stopping;
    if (comesAgain && stopping !== undefined) leave(stopping);
  }

  begin(): void {
    if (this.#state.kind !== "waiting") return;
    this.#open();
    if (this.#init.encoder.opening === "") this.#exchange.flushHeaders();
  }

  #beginWithin(timeoutMs: number): void {
    clearTimeout(this.#flushTimer);
    if (this.#state.kind === "waiting") this.#flushTimer = setTimeout(() => this.begin(), timeoutMs);
  }

  /** Makes the head ready, which leaves with the first text. */
  #open(): void {
    if (this.#state.kind !== "waiting") return;
    clearTimeout(this.#flushTimer);
    const { request, reply, encoder, options, coding, context } = this.#init;
    const exchange = this.#exchange;
    if (exchange.destroyed) return; // The call is being cancelled.
    reply.hijack();
    const writer = new StreamWriter(exchange, options, coding);
    this.#state = { kind: "open", writer };
    this.#writeHead();
    if (request.method === "HEAD") {
      context.abort(new ConnectError("only the head of the answer was asked for", Code.Canceled));
      return;
    }
    if (encoder.opening !== "") void writer.write(encoder.opening)?.catch(nothing);
    const { heartbeat } = encoder;
    if (heartbeat !== undefined) {
      this.#heartbeat = setInterval(() => {
        if (!writer.busy) void writer.write(heartbeat)?.catch(nothing);
      }, options.heartbeatMs);
    }
  }

  write(message: Message): string {
    return this.#init.encoder.message(message);
  }

  message(text: string): Promise<void> | undefined {
    this.#open();
    if (this.#state.kind !== "open") return Promise.reject(gone());
    this.#heartbeat?.refresh();
    return this.#state.writer.write(text);
  }

  async end(): Promise<void> {
    this.#open();
    const writer = this.#finish();
    if (writer === undefined) return;
    const { context, encoder } = this.#init;
    const trailer = context.responseTrailerIfAny;
    await this.#last(writer, encoder.end(this.#visible(trailer)), trailer, undefined);
  }

  async fail(reason: unknown): Promise<void> {
    const writer = this.#finish();
    const { errors, encoder, reply, request } = this.#init;
    if (writer === undefined) {
      errors.send(reply, reason);
      return;
    }
    if (writer.gone !== undefined) return;
    if (request.method === "HEAD") {
      await writer.end();
      return;
    }
    const error = errors.toError(reason, this.#exchange);
    const text = this.#leaving && encoder.leave !== undefined ? encoder.leave(error) : encoder.error(error);
    if (text === undefined) await writer.cut();
    else await this.#last(writer, text, error.metadata, error);
  }

  /** No more messages; the writer where the head is sent. */
  #finish(): StreamWriter | undefined {
    clearTimeout(this.#flushTimer);
    clearInterval(this.#heartbeat);
    this.#exchange.leave = undefined;
    const state = this.#state;
    this.#state = { kind: "over" };
    return state.kind === "open" ? state.writer : undefined;
  }

  /** Sends the last text, and the status once more in trailers where the client reads them. */
  async #last(
    writer: StreamWriter,
    text: string,
    trailer: Headers | undefined,
    error: ConnectError | undefined,
  ): Promise<void> {
    try {
      if (text !== "") await writer.write(text);
    } catch {
      return; // The client has left.
    }
    if (takesTrailers(this.#init.request.raw) && !this.#exchange.destroyed) {
      this.#exchange.addTrailers({
        ...Object.fromEntries(
          Object.entries(this.#visible(trailer)).filter(([name]) => !isForbiddenTrailer(name)),
        ),
        "Grpc-Status": String(error?.code ?? 0),
        ...(error === undefined ? {} : { "Grpc-Message": encodeURI(toStatusMessage(error.rawMessage)) }),
      });
    }
    await writer.end();
  }

  #writeHead(): void {
    const { context, reply, encoding, replyMetadata, coding } = this.#init;
    const exchange = this.#exchange;
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) exchange.setHeader(name, value);
    }
    const header = context.responseHeaderIfAny;
    if (header !== undefined) replyMetadata.headers(header, (name, value) => exchange.setHeader(name, value));
    for (const [name, value] of Object.entries(encoding.headers)) exchange.setHeader(name, value);
    exchange.setHeader("content-type", encoding.contentType);
    if (coding !== undefined) exchange.setHeader("content-encoding", coding.name);
    exchange.appendHeader("vary", "accept");
    if (takesTrailers(this.#init.request.raw)) exchange.setHeader("trailer", "Grpc-Status, Grpc-Message");
    const status = header === undefined ? 200 : successStatus(header);
    exchange.writeHead(status > 205 || status === 204 || status === 205 ? 200 : status);
  }

  #visible(trailer: Headers | undefined): Trailers {
    if (trailer === undefined) return {};
    const names: Record<string, string> = {};
    this.#init.replyMetadata.trailersAsHeaders(trailer, (name, value) => (names[name] = value));
    return names;
  }
}

function gone(): ConnectError {
  return new ConnectError("the client left before the answer was complete", Code.Canceled);
}

function nothing(): void {}
