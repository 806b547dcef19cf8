import type { RequestHead } from "../../http/exchange.ts";
import type { RequestRecord } from "../../http/request-record.ts";
import { type Fields, type HeadLimits, parseFields, parseRequestLine } from "./head-form.ts";
import { beginsHead } from "./head-prefix.ts";

/** The head of a request of the fast lane. */
export class FastHead implements RequestHead {
  readonly method: string;
  readonly url: string;
  /** Shared by all requests of a connection that have the same fields. */
  readonly headers: Readonly<RequestHead["headers"]>;
  readonly httpVersion = "1.1";
  readonly httpVersionMajor = 1;
  requestId: string | undefined = undefined;
  record: RequestRecord | undefined = undefined;
  /** Bytes of the body. */
  readonly contentLength: number;
  /** Whether the client lets the connection be kept. */
  readonly keepAlive: boolean;
  /** Offset of the first byte behind the head. */
  readonly end: number;

  constructor(method: string, url: string, { headers, contentLength, keepAlive }: Fields, end: number) {
    this.method = method;
    this.url = url;
    this.headers = headers;
    this.contentLength = contentLength;
    this.keepAlive = keepAlive;
    this.end = end;
  }
}

/** So much of a read is looked at first: nearly all heads are shorter, and a body behind one need not become text. */
const usualBytes = 2048;

/**
 * Reads heads of requests that have one strict form, the one that nearly all clients use, and no other: whatever differs
 * is undefined and belongs to Node's parser, which decides what is wrong with it. The form is a subset of RFC 9112 that
 * Node's parser accepts whole and reads in the same way.
 *
 * One reader belongs to one connection: clients repeat their fields, which are parsed again only when they change.
 */
export class HeadReader {
  readonly #limits: HeadLimits;
  /** The fields of an earlier head as text, with the line breaks before and behind them. */
  #block = "";
  #fields: Fields | undefined;

  constructor(limits: HeadLimits) {
    this.#limits = limits;
  }

  /** The head that begins at offset `at`; undefined where it is not there to its end, or has another form. */
  read(bytes: Buffer, at: number): FastHead | undefined {
    const text = bytes.toString("latin1", at, Math.min(bytes.length, at + usualBytes));
    const head = this.#head(text, at);
    if (head !== undefined || text.length < usualBytes) return head;
    return this.#head(bytes.toString("latin1", at, Math.min(bytes.length, at + this.#limits.headBytes)), at);
  }

  /** Whether the bytes from offset `at` on can be the beginning of a head of the form, which is not there to its end. */
  begins(bytes: Buffer, at: number): boolean {
    const length = bytes.length - at;
    return length < this.#limits.headBytes && beginsHead(bytes.toString("latin1", at), this.#limits);
  }

  #head(text: string, at: number): FastHead | undefined {
    const lineEnd = text.indexOf("\r\n");
    const line = parseRequestLine(text, lineEnd, this.#limits);
    if (line === undefined) return undefined;
    const fields = this.#fieldsAt(text, lineEnd);
    if (fields === undefined) return undefined;
    const { method, url } = line;
    if (fields.contentLength > 0 && (method === "GET" || method === "HEAD")) return undefined;
    const length = lineEnd + fields.bytes;
    return length > this.#limits.headBytes ? undefined : new FastHead(method, url, fields, at + length);
  }

  /** The fields behind the request line. */
  #fieldsAt(text: string, start: number): Fields | undefined {
    if (this.#fields !== undefined && text.startsWith(this.#block, start)) return this.#fields;
    const end = text.indexOf("\r\n\r\n", start);
    if (end === -1) return undefined;
    const block = text.slice(start, end + 4);
    const lines = block.slice(2, -4).split("\r\n", this.#limits.fields + 1);
    if (lines.length > this.#limits.fields) return undefined;
    const fields = parseFields(lines, block.length);
    if (fields?.headers.host === undefined) return undefined;
    if (text.length <= usualBytes) {
      this.#block = block;
      this.#fields = fields;
    }
    return fields;
  }
}
