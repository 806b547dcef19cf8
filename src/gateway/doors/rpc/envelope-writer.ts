import type { HttpExchange, ResponseBody, ResponseHeaders } from "../../http/exchange.ts";
import { withPrefixes } from "../../../core/wire/message-prefix.ts";
import { StreamWriter, type StreamWriterOptions } from "../../http/stream-writer.ts";

/** Options of `EnvelopeWriter`. */
export interface EnvelopeWriterOptions extends StreamWriterOptions {
  /** Whether the body is base64. */
  readonly text: boolean;
  /** Whether trailers of HTTP end the reply, and no envelope. */
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

  /** Writes the head of the reply unless it is written, with what `headers` gives. It leaves with what follows. */
  begin(headers: () => ResponseHeaders): void {
    if (this.#reply === undefined) this.#begin(headers());
  }

  /** Lets the head leave by itself. */
  flush(): void {
    this.#reply?.body.flushHeaders();
  }

  /**
   * Writes messages, in one piece. Undefined when there is room for another, else a promise to wait for before the next, which
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

  /** Ends the reply with trailers of HTTP. */
  endWithTrailers(trailer: Headers): void {
    if (this.#reply === undefined || this.#reply.writer.gone !== undefined) return;
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
