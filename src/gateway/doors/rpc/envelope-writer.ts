import type { HttpExchange, ResponseBody, ResponseHeaders } from "../../http/exchange.ts";
import { withPrefixes } from "../../../core/wire/message-prefix.ts";
import { StreamWriter, type StreamWriterOptions } from "../../http/stream-writer.ts";

/** Options of `EnvelopeWriter`. */
export interface EnvelopeWriterOptions extends StreamWriterOptions {
  /** Whether the body is base64. */
  readonly text: boolean;
  /** Whether HTTP trailers end the reply, not an envelope. */
  readonly trailers: boolean;
}

/** A reply whose head is written. */
interface OpenReply {
  readonly body: ResponseBody;
  readonly writer: StreamWriter;
}

/** Writes a reply as envelopes, with the back-pressure of `StreamWriter`. */
export class EnvelopeWriter {
  readonly #exchange: HttpExchange;
  readonly #options: EnvelopeWriterOptions;
  #reply: OpenReply | undefined;

  constructor(exchange: HttpExchange, options: EnvelopeWriterOptions) {
    this.#exchange = exchange;
    this.#options = options;
  }

  /** Whether the head of the reply is written. */
  get begun(): boolean {
    return this.#reply !== undefined;
  }

  /**
   * Prepares the head of the reply with the result of `headers`, unless that was done before. It is sent with the first
   * message.
   */
  begin(headers: () => ResponseHeaders): void {
    if (this.#reply === undefined) this.#begin(headers());
  }

  /** Sends the head without waiting for the first message. */
  flush(): void {
    this.#reply?.body.flushHeaders();
  }

  /**
   * Writes messages in one piece. Returns undefined when others can follow, else a promise to await before them, which
   * rejects with CANCELLED when the client disconnects.
   */
  write(flags: number, messages: readonly Uint8Array[]): Promise<void> | undefined {
    return this.#reply?.writer.write(this.#encode(flags, messages));
  }

  /** Writes the last message and ends the reply. */
  end(flags: number, data: Uint8Array): void {
    void this.#reply?.writer.end(this.#encode(flags, [data]));
  }

  /** Sends a head that is the whole reply. */
  only(headers: ResponseHeaders): void {
    this.#exchange.respondInParts(200, headers, { empty: true });
  }

  /** Ends the reply with HTTP trailers. */
  endWithTrailers(trailer: Headers): void {
    if (this.#reply === undefined || this.#reply.writer.failure !== undefined) return;
    this.#reply.body.addTrailers(Object.fromEntries(trailer));
    void this.#reply.writer.end();
  }

  #begin(headers: ResponseHeaders): void {
    const body = this.#exchange.respondInParts(200, headers, { trailers: this.#options.trailers });
    this.#reply = { body, writer: new StreamWriter(body, this.#options) };
  }

  #encode(flags: number, messages: readonly Uint8Array[]): Uint8Array | string {
    const bytes = withPrefixes(messages, flags);
    return this.#options.text ? bytes.toString("base64") : bytes;
  }
}
