import type { Message } from "@bufbuild/protobuf";
import type { HttpBody } from "../../../../../gen/google/api/httpbody_pb.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { Code, ConnectError } from "../../../../core/errors/errors.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import { incompleteAnswer } from "../../../http/disconnect-error.ts";
import {
  type HttpExchange,
  type ResponseBody,
  type ResponseHeaders,
  setField,
} from "../../../http/exchange.ts";
import { isForbiddenTrailer } from "../../../http/header-names.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import { acceptsTrailers } from "../../../http/trailers-wanted.ts";
import type { Answer } from "../answers/answer.ts";
import type { Coding } from "../../../../core/wire/codings/coding.ts";
import { StreamWriter, type StreamWriterOptions } from "../../../http/stream-writer.ts";
import { contentTypeOf, lengthOf, noSniff, setFileHeaders } from "./raw-headers.ts";

/** The parts of a `RawAnswer`. */
export interface RawAnswerInit {
  readonly bodyOf: (message: Message) => HttpBody | undefined;
  readonly context: CallContext;
  readonly exchange: HttpExchange;
  readonly errors: Pick<ErrorWriter, "send" | "toError">;
  readonly replyMetadata: ReplyMetadata;
  readonly options: Partial<StreamWriterOptions>;
  /** HTTP status of success, where the service sets no other. */
  readonly usualStatus: number;
  /** The coding of a body by its content type and the HTTP status; undefined for none. */
  readonly codingOf: (contentType: string, status: number) => Coding | undefined;
}

/** `waiting`: the head is not written; `open`: it is; `over`: the answer has ended. */
type State = { readonly kind: "waiting" } | OpenState | { readonly kind: "over" };

interface OpenState {
  readonly kind: "open";
  readonly body: ResponseBody;
  readonly writer: StreamWriter;
}

/**
 * A streamed file: the bytes of all messages, concatenated, with the content type of the first message. The head is
 * sent with the first byte, so that an error before it has its own status. An error after it closes the connection, so
 * that the client detects the truncated file; so does a file with another length than its service has declared.
 */
export class RawAnswer implements Answer<Message> {
  readonly #init: RawAnswerInit;
  readonly #exchange: HttpExchange;
  #state: State = { kind: "waiting" };
  #contentType: string | undefined;
  /** Bytes that remain to be sent, if the head has declared the length. */
  #remaining: number | undefined;

  constructor(init: RawAnswerInit) {
    this.#init = init;
    this.#exchange = init.exchange;
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
    if (this.#state.kind !== "open") return Promise.reject(incompleteAnswer());
    if (this.#exchange.head.method === "HEAD") return undefined;
    // The client would read further bytes as the next answer.
    if (this.#remaining !== undefined && (this.#remaining -= body.data.length) < 0)
      return Promise.reject(wrongLength());
    return this.#state.writer.write(body.data);
  }

  async end(): Promise<void> {
    this.#open();
    const { head } = this.#exchange;
    if (this.#remaining !== undefined && this.#remaining > 0 && head.method !== "HEAD")
      return this.fail(wrongLength());
    const open = this.#finish();
    if (open === undefined) return;
    const trailer = this.#init.context.responseTrailerIfAny;
    if (trailer !== undefined && acceptsTrailers(head) && !open.body.destroyed) {
      open.body.addTrailers(this.#visible(trailer));
    }
    await open.writer.end();
  }

  async fail(reason: unknown): Promise<void> {
    const { errors, exchange } = this.#init;
    const open = this.#finish();
    if (open === undefined) {
      errors.send(exchange, reason);
      return;
    }
    errors.toError(reason, exchange); // For the log: the client sees only that the file is truncated.
    const { head } = exchange;
    if (head.method === "HEAD") await open.writer.end();
    else {
      if (head.httpVersion === "1.0") open.body.reset();
      await open.writer.cut();
    }
  }

  /** Prepares the head, which is sent with the first byte. */
  #open(): void {
    const exchange = this.#exchange;
    if (this.#state.kind !== "waiting" || exchange.destroyed) return;
    const { options, context } = this.#init;
    const { body, coding } = this.#writeHead();
    this.#state = { kind: "open", body, writer: new StreamWriter(body, options, coding) };
    if (exchange.head.method === "HEAD") {
      context.abort(new ConnectError("only the head of the answer was asked for", Code.Canceled));
    }
  }

  /** Writes the head; `coding` compresses the bytes after it. */
  #writeHead(): { readonly body: ResponseBody; readonly coding: Coding | undefined } {
    const { context, replyMetadata, codingOf, usualStatus } = this.#init;
    const headers: ResponseHeaders = {};
    const header = context.responseHeaderIfAny;
    if (header !== undefined) {
      replyMetadata.headers(header, (name, value) => setField(headers, name, value));
      setFileHeaders(header, (name, value) => (headers[name] = value));
    }
    Object.assign(headers, Object.fromEntries([noSniff]));
    const status = header === undefined ? usualStatus : successStatus(header, usualStatus);
    const trailers = acceptsTrailers(this.#exchange.head);
    let coding: Coding | undefined;
    if (this.#contentType !== undefined && status !== 304) {
      headers["content-type"] = this.#contentType;
      coding = codingOf(this.#contentType, status);
      if (coding !== undefined) headers["content-encoding"] = coding.name;
      // Trailers need chunked encoding, which a body of a known length does not use.
      const length = coding === undefined && !trailers ? lengthOf(header) : undefined;
      if (length !== undefined) headers["content-length"] = String((this.#remaining = length));
    }
    return { body: this.#exchange.respondInParts(status, headers, { trailers }), coding };
  }

  /** Ends the answer's wait for messages; returns its state if the head was written. */
  #finish(): OpenState | undefined {
    const state = this.#state;
    this.#state = { kind: "over" };
    return state.kind === "open" ? state : undefined;
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
  return new ConnectError("the file has another length than was declared", Code.Internal);
}
