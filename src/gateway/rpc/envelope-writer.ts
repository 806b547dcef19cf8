import type { OutgoingHttpHeaders } from "node:http";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import type { FastifyReply } from "fastify";
import { Code, ConnectError } from "../../core/errors.ts";
import type { Http2Exchange } from "../http2-exchange.ts";

type WithTrailers = Pick<Http2Exchange, "withTrailers">;

/** Options of `EnvelopeWriter`. */
export interface EnvelopeWriterOptions {
  /** Whether the body is base64. */
  readonly text: boolean;
  /** Whether trailers of HTTP end the reply, and no envelope. */
  readonly trailers: boolean;
  /** How long a client may take nothing of what waits for it, in milliseconds. */
  readonly writeIdleMs: number;
}

/**
 * Writes a reply as envelopes, and waits for the client to take them. A client that takes nothing for too long loses
 * its connection.
 */
export class EnvelopeWriter {
  readonly #reply: FastifyReply;
  readonly #options: EnvelopeWriterOptions;
  #timer: NodeJS.Timeout | undefined;
  #drained: PromiseWithResolvers<void> | undefined;

  constructor(reply: FastifyReply, options: EnvelopeWriterOptions) {
    this.#reply = reply;
    this.#options = options;
    reply.raw.on("drain", () => this.#settle());
    reply.raw.on("close", () => this.#settle(left()));
  }

  /** Whether the head of the reply is written. */
  get begun(): boolean {
    return this.#reply.sent;
  }

  /** Writes the head of the reply; hooks of the user's own may have added headers to it. It leaves with what follows. */
  begin(headers: Readonly<Record<string, string | string[]>>): void {
    const { raw } = this.#reply;
    if (this.#options.trailers) (raw as Partial<WithTrailers>).withTrailers = true; // Asked for by HTTP/2 alone.
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
    const { raw } = this.#reply;
    if (raw.destroyed) return Promise.reject(left());
    if (raw.write(this.#encode(flags, data))) return undefined;
    this.#drained = Promise.withResolvers();
    this.#watch();
    return this.#drained.promise;
  }

  /** Writes the last message and ends the reply. */
  end(flags: number, data: Uint8Array): void {
    const { raw } = this.#reply;
    if (raw.destroyed) return;
    this.#watch();
    raw.end(this.#encode(flags, data), () => clearTimeout(this.#timer));
  }

  /** Sends a head that is the whole reply. */
  only(headers: Readonly<Record<string, string | string[]>>): void {
    const { raw } = this.#reply;
    this.#reply.hijack();
    raw.statusCode = 200;
    for (const [name, value] of Object.entries({ ...this.#reply.getHeaders(), ...headers })) {
      if (value !== undefined) raw.setHeader(name, value);
    }
    this.#watch();
    raw.end(() => clearTimeout(this.#timer));
  }

  /** Ends the reply with trailers of HTTP. */
  endWithTrailers(trailer: Headers): void {
    const { raw } = this.#reply;
    if (raw.destroyed) return;
    this.#watch();
    raw.addTrailers(Object.fromEntries(trailer));
    raw.end(() => clearTimeout(this.#timer));
  }

  #encode(flags: number, data: Uint8Array): Uint8Array | string {
    const bytes = encodeEnvelope(flags, data);
    return this.#options.text ? Buffer.from(bytes.buffer).toString("base64") : bytes;
  }

  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#reply.raw.destroy(), this.#options.writeIdleMs);
  }

  #settle(error?: ConnectError): void {
    clearTimeout(this.#timer);
    const drained = this.#drained;
    this.#drained = undefined;
    if (error === undefined) drained?.resolve();
    else drained?.reject(error);
  }
}

function left(): ConnectError {
  return new ConnectError("the client left before the answer was complete", Code.Canceled);
}
