import type { Message } from "@bufbuild/protobuf";
import type { ReadReplies, ReplyBatch } from "../../../../core/call/batches.ts";
import type { CallContext } from "../../../../core/call/context.ts";
import { replyTooLarge } from "../../../../core/errors/reply-too-large.ts";
import type { ErrorWriter } from "../../../http/error-writer.ts";
import { type HttpExchange, type ResponseHeaders, setField } from "../../../http/exchange.ts";
import { type ReplyMetadata, successStatus } from "../../../http/reply-metadata.ts";
import type { ByteAnswer } from "./answer.ts";
import type { StreamEncoder, StreamEncoding } from "./stream-encoding.ts";

/** The parts of a `BufferedAnswer`. */
export interface BufferedAnswerInit {
  readonly encoding: StreamEncoding;
  readonly encoder: StreamEncoder;
  /** Prints messages in binary form by the encoder. */
  readonly read: ReadReplies<string | Buffer>;
  readonly context: CallContext;
  readonly exchange: HttpExchange;
  readonly errors: ErrorWriter;
  readonly replyMetadata: ReplyMetadata;
  /** HTTP status of success, where the service sets no other. */
  readonly usualStatus: number;
  /** The most bytes of the answer. */
  readonly maxBytes: number;
}

/**
 * An answer that is sent whole, with its length: for HTTP/1.0 clients, which could not detect a truncated stream. An
 * error always sets the HTTP status.
 */
export class BufferedAnswer implements ByteAnswer<string | Buffer> {
  readonly #init: BufferedAnswerInit;
  readonly #parts: string[] = [];
  #bytes = 0;

  constructor(init: BufferedAnswerInit) {
    this.#init = init;
  }

  begin(): void {}

  write(message: Message): string {
    return this.#init.encoder.message(message);
  }

  read(batch: ReplyBatch): string | Buffer {
    return this.#init.read(batch);
  }

  message(text: string | Buffer): undefined {
    const { maxBytes } = this.#init;
    this.#bytes += Buffer.byteLength(text);
    if (this.#bytes > maxBytes) {
      throw replyTooLarge(`the answer is larger than ${maxBytes} bytes, which HTTP/1.0 cannot stream`);
    }
    this.#parts.push(String(text));
  }

  async end(): Promise<void> {
    const { encoding, encoder, context, exchange, replyMetadata, usualStatus } = this.#init;
    const { responseHeaderIfAny: header, responseTrailerIfAny: trailer } = context;
    const headers: ResponseHeaders = {};
    const set = (name: string, value: string): void => setField(headers, name, value);
    if (header !== undefined) replyMetadata.headers(header, set);
    if (trailer !== undefined) replyMetadata.trailersAsHeaders(trailer, set);
    const status = header === undefined ? usualStatus : successStatus(header, usualStatus);
    Object.assign(headers, encoding.headers, { "content-type": encoding.contentType });
    exchange.respond(status, headers, encoder.opening + this.#parts.join("") + encoder.end({}));
  }

  async fail(reason: unknown): Promise<void> {
    const { errors, exchange } = this.#init;
    errors.send(exchange, reason);
  }
}
