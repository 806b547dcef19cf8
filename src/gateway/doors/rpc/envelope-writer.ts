import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply } from "fastify";
import { withPrefix } from "../../../core/wire/message-prefix.ts";
import type { TrailersOnDemand } from "../../http/exchange.ts";
import { StreamWriter, type StreamWriterOptions } from "../../http/stream-writer.ts";

/** Options of `EnvelopeWriter`. */
export interface EnvelopeWriterOptions extends StreamWriterOptions {
  /** Whether the body is base64. */
  readonly text: boolean;
  /** Whether trailers of HTTP end the reply, and no envelope. */
  readonly trailers: boolean;
}

/** Writes a reply as envelopes, with the back-pressure of `StreamWriter`. */
export class EnvelopeWriter {
  readonly #reply: FastifyReply;
  readonly #options: EnvelopeWriterOptions;
  readonly #writer: StreamWriter;

  constructor(reply: FastifyReply, options: EnvelopeWriterOptions) {
    this.#reply = reply;
    this.#options = options;
    this.#writer = new StreamWriter(reply.raw, options);
  }

  /** Whether the head of the reply is written. */
  get begun(): boolean {
    return this.#reply.sent;
  }

  /** Writes the head of the reply; hooks of the user's own may have added headers to it. It leaves with what follows. */
  begin(headers: Readonly<Record<string, string | string[]>>): void {
    const { raw } = this.#reply;
    if (this.#options.trailers) (raw as Partial<TrailersOnDemand>).withTrailers = true; // Asked for by HTTP/2 alone.
    this.#reply.hijack();
    raw.writeHead(200, { ...(this.#reply.getHeaders() as OutgoingHttpHeaders), ...headers }); // As they were set.
  }

  /** Lets the head leave by itself. */
  flush(): void {
    this.#reply.raw.flushHeaders();
  }

  /**
   * Writes one message. Undefined when there is room for another, else a promise to wait for before the next, which
   * rejects with CANCELLED when the client leaves.
   */
  write(flags: number, data: Uint8Array): Promise<void> | undefined {
    return this.#writer.write(this.#encode(flags, data));
  }

  /** Writes the last message and ends the reply. */
  end(flags: number, data: Uint8Array): void {
    void this.#writer.end(this.#encode(flags, data));
  }

  /** Sends a head that is the whole reply. */
  only(headers: Readonly<Record<string, string | string[]>>): void {
    const { raw } = this.#reply;
    this.#reply.hijack();
    raw.statusCode = 200;
    for (const [name, value] of Object.entries({ ...this.#reply.getHeaders(), ...headers })) {
      if (value !== undefined) raw.setHeader(name, value);
    }
    void this.#writer.end();
  }

  /** Ends the reply with trailers of HTTP. */
  endWithTrailers(trailer: Headers): void {
    if (this.#writer.gone !== undefined) return;
    this.#reply.raw.addTrailers(Object.fromEntries(trailer));
    void this.#writer.end();
  }

  #encode(flags: number, data: Uint8Array): Uint8Array | string {
    const bytes = withPrefix(data, flags);
    return this.#options.text ? bytes.toString("base64") : bytes;
  }
}
