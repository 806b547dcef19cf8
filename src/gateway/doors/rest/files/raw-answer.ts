import type { Message } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { HttpBody } from "../../../../../gen/google/api/httpbody_pb.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { Code, ConnectError } from "../../../../core/errors/errors.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import type { Exchange, TrailersOnDemand } from "../../../http/exchange.ts";
import { isForbiddenTrailer } from "../../../http/header-names.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import { takesTrailers } from "../../../http/trailers-wanted.ts";
import type { Answer } from "../answers/answer.ts";
import type { Coding } from "../../../../core/wire/codings/coding.ts";
import { StreamWriter, type StreamWriterOptions } from "../../../http/stream-writer.ts";
import { contentTypeOf, lengthOf, noSniff, setFileHeaders } from "./raw-headers.ts";

/** What a raw answer in pieces is made of. */
export interface RawAnswerInit {
  readonly bodyOf: (message: Message) => HttpBody | undefined;
  readonly context: CallContext;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly errors: Pick<ErrorWriter, "send" | "toError">;
  readonly replyMetadata: ReplyMetadata;
  readonly options: Partial<StreamWriterOptions>;
  /** How bytes of a content type are compressed, with a status. */
  readonly codingOf: (contentType: string, status: number) => Coding | undefined;
}

/** The first byte is sent, or not yet, or the answer is over. */
type State =
  | { readonly kind: "waiting" }
  | { readonly kind: "open"; readonly writer: StreamWriter }
  | { readonly kind: "over" };

/**
 * A file in pieces: the bytes of all messages with nothing in between, the content type of the first message. The head
 * leaves with the first byte, so that an error before it has a status of its own; one after it cuts the connection, as
 * a part must never be taken for the whole; so does one that has not the length that its service said.
 */
export class RawAnswer implements Answer<Message> {
  readonly #init: RawAnswerInit;
  readonly #exchange: Exchange;
  #state: State = { kind: "waiting" };
  #contentType: string | undefined;
  /** Bytes that are still due, where the head says how many there are. */
  #due: number | undefined;

  constructor(init: RawAnswerInit) {
    this.#init = init;
    this.#exchange = init.reply.raw as Exchange; // Every server here makes its responses of this class.
  }

  begin(): void {}

  write(message: Message): Message {
    return message; // Its bytes are sent as they are.
  }

  message(message: Message): Promise<void> | undefined {
    const body = this.#init.bodyOf(message);
    this.#contentType ??= contentTypeOf(body);
    if (body === undefined || body.data.length === 0) return undefined;
    this.#open();
    if (this.#state.kind !== "open") return Promise.reject(gone());
    // More would be taken for the next answer.
    if (this.#due !== undefined && (this.#due -= body.data.length) < 0) return Promise.reject(wrongLength());
    return this.#state.writer.write(body.data);
  }

  async end(): Promise<void> {
    this.#open();
    const { method } = this.#init.request;
    if (this.#due !== undefined && this.#due > 0 && method !== "HEAD") return this.fail(wrongLength());
    const writer = this.#finish();
    if (writer === undefined) return;
    const trailer = this.#init.context.responseTrailerIfAny;
    if (trailer !== undefined && takesTrailers(this.#init.request.raw) && !this.#exchange.destroyed) {
      this.#exchange.addTrailers(this.#visible(trailer));
    }
    await writer.end();
  }

  async fail(reason: unknown): Promise<void> {
    const { errors, reply, request } = this.#init;
    const writer = this.#finish();
    if (writer === undefined) {
      errors.send(reply, reason);
      return;
    }
    errors.toError(reason, this.#exchange); // For the log: what is left to say is that the file is none.
    if (request.method === "HEAD") await writer.end();
    else {
      // Over HTTP/1.0 the end of the connection is the end of the file; only a reset tells that it is none.
      if (request.raw.httpVersion === "1.0") this.#exchange.socket?.resetAndDestroy();
      await writer.cut();
    }
  }

  /** Makes the head ready, which leaves with the first byte. */
  #open(): void {
    const exchange = this.#exchange;
    if (this.#state.kind !== "waiting" || exchange.destroyed) return;
    const { request, reply, options, context } = this.#init;
    reply.hijack();
    this.#state = { kind: "open", writer: new StreamWriter(exchange, options, this.#writeHead()) };
    if (request.method === "HEAD") {
      context.abort(new ConnectError("only the head of the answer was asked for", Code.Canceled));
    }
  }

  /** Writes the head; returns how the bytes after it are compressed. */
  #writeHead(): Coding | undefined {
    const { context, reply, replyMetadata, codingOf } = this.#init;
    const exchange = this.#exchange;
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) exchange.setHeader(name, value);
    }
    const set = (name: string, value: string): void => void exchange.setHeader(name, value);
    const header = context.responseHeaderIfAny;
    if (header !== undefined) replyMetadata.headers(header, set);
    setFileHeaders(header, set);
    set(...noSniff);
    const status = header === undefined ? 200 : successStatus(header);
    let coding: Coding | undefined;
    if (this.#contentType !== undefined && status !== 304) {
      set("content-type", this.#contentType);
      coding = codingOf(this.#contentType, status);
      if (coding !== undefined) set("content-encoding", coding.name);
      // Trailers need chunks, and a body of a known length has none.
      const length =
        coding === undefined && !takesTrailers(this.#init.request.raw) ? lengthOf(header) : undefined;
      if (length !== undefined) set("content-length", String((this.#due = length)));
    }
    // Asked for by HTTP/2 alone, where no header announces them.
    if (takesTrailers(this.#init.request.raw)) (exchange as Partial<TrailersOnDemand>).withTrailers = true;
    exchange.writeHead(status);
    return coding;
  }

  /** No more messages; the writer where the head is written. */
  #finish(): StreamWriter | undefined {
    const state = this.#state;
    this.#state = { kind: "over" };
    return state.kind === "open" ? state.writer : undefined;
  }

  #visible(trailer: Headers): Record<string, string> {
    const names: Record<string, string> = {};
    this.#init.replyMetadata.trailersAsHeaders(trailer, (name, value) => {
      if (!isForbiddenTrailer(name)) names[name] = value;
    });
    return names;
  }
}

function wrongLength(): ConnectError {
  return new ConnectError("the file has not as many bytes as was said of it", Code.Internal);
}

function gone(): ConnectError {
  return new ConnectError("the client left before the answer was complete", Code.Canceled);
}
