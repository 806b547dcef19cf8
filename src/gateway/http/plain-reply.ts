import type { OutgoingHttpHeaders } from "node:http";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Exchange } from "./exchange.ts";

/** What a call that is answered whole asks of its request. */
export type WholeRequest = Pick<FastifyRequest, "raw" | "method">;

/** What an answer that is sent whole asks of its reply: that of the engine is one, `PlainReply` the other. */
export interface WholeReply {
  readonly raw: FastifyReply["raw"];
  /** Whether the answer was given. */
  readonly sent: boolean;
  code(status: number): unknown;
  header(name: string, value: string | string[]): unknown;
  headers(headers: Readonly<Record<string, string | string[]>>): unknown;
  /** How a payload that is no buffer becomes text. */
  serializer(serialize: (payload: unknown) => string): unknown;
  send(payload: string | Buffer | undefined): unknown;
  /** Undefined for replies to requests that take no trailers. */
  readonly trailer?: FastifyReply["trailer"];
}

/** A reply without the engine, for requests in which nobody but their rpc has a say. Payloads go out as they are. */
export class PlainReply implements WholeReply {
  readonly raw: Exchange;
  readonly #headers: OutgoingHttpHeaders = {};

  constructor(raw: Exchange) {
    this.raw = raw;
  }

  get sent(): boolean {
    return this.raw.writableEnded;
  }

  code(status: number): void {
    this.raw.statusCode = status;
  }

  header(name: string, value: string | string[]): void {
    const before = this.#headers[name];
    const isOneMore = name === "set-cookie" && before !== undefined;
    this.#headers[name] = isOneMore ? [before, value].flat().map(String) : value;
  }

  headers(headers: Readonly<Record<string, string | string[]>>): void {
    for (const [name, value] of Object.entries(headers)) this.header(name, value);
  }

  serializer(): void {}

  send(payload: string | Buffer | undefined): void {
    const { raw } = this;
    const { statusCode } = raw;
    const headers = this.#headers;
    if (payload !== undefined) headers["content-length"] = Buffer.byteLength(payload);
    // RFC 9110, section 8.6: these have no content, and no length of it.
    else if (statusCode !== 204 && statusCode !== 304) headers["content-length"] = 0;
    raw.writeHead(statusCode, headers);
    raw.end(payload);
  }
}
