import type { RequestHead } from "../../http/exchange.ts";

/** The most that a head of the fast lane may have. */
export interface HeadLimits {
  /** Bytes of the head, its last line break included. */
  readonly headBytes: number;
  /** Bytes of the request target. */
  readonly targetBytes: number;
  /** Header fields. */
  readonly fields: number;
}

/** The limits of the form that `HeadReader` knows, whatever the options of a server allow. */
export const headFormLimits: HeadLimits = Object.freeze({
  headBytes: 16_384,
  targetBytes: 8192,
  fields: 100,
});

/** The head of a request of the fast lane. */
export class FastHead implements RequestHead {
  readonly method: string;
  readonly url: string;
  /** Shared by all requests of a connection that have the same fields. */
  readonly headers: Readonly<RequestHead["headers"]>;
  readonly httpVersion = "1.1";
  readonly httpVersionMajor = 1;
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

/** What the fields of a head say. */
interface Fields {
  /** Bytes of the fields, with the line breaks before and behind them. */
  readonly bytes: number;
  readonly headers: Readonly<RequestHead["headers"]>;
  readonly contentLength: number;
  readonly keepAlive: boolean;
}

/** So much of a read is looked at first: nearly all heads are shorter, and a body behind one need not become text. */
const usualBytes = 2048;

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] as const;
const target = /^\/[!"$-~]*$/;
const token = /^[\w!#$%&'*+.^`|~-]+$/;
const value = /^[\t\x20-\x7e\x80-\xff]*$/;
const digits = /^\d{1,15}$/;

/** Fields that change how a message is framed or what a connection is: Node's parser decides on them. */
const foreign: ReadonlySet<string> = new Set([
  "__proto__", // Node's headers have no such member.
  "expect",
  "http2-settings",
  "proxy-connection", // Means `connection` to Node's parser.
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Fields of which Node keeps the first and ignores all others. */
const single: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "content-type",
  "etag",
  "expires",
  "from",
  "if-modified-since",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "proxy-authorization",
  "referer",
  "retry-after",
  "server",
  "user-agent",
]);

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

  #head(text: string, at: number): FastHead | undefined {
    const method = methodOf(text);
    if (method === undefined) return undefined;
    const lineEnd = text.indexOf("\r\n");
    if (!text.startsWith(" HTTP/1.1", lineEnd - 9)) return undefined;
    const url = text.slice(method.length + 1, lineEnd - 9);
    if (url.length > this.#limits.targetBytes || !target.test(url)) return undefined;
    const fields = this.#fieldsAt(text, lineEnd);
    if (fields === undefined) return undefined;
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
    const fields = parseFields(block, this.#limits.fields);
    if (fields !== undefined && text.length <= usualBytes) {
      this.#block = block;
      this.#fields = fields;
    }
    return fields;
  }
}

function methodOf(text: string): string | undefined {
  for (const method of methods) {
    if (text.startsWith(method) && text.charCodeAt(method.length) === 0x20) return method;
  }
  return undefined;
}

/** @param block the lines of the fields, with the line breaks before and behind them */
function parseFields(block: string, most: number): Fields | undefined {
  const lines = block.slice(2, -4).split("\r\n", most + 1);
  if (lines.length > most) return undefined;
  const headers: Record<string, string | string[]> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon === -1) return undefined;
    const name = line.slice(0, colon);
    const content = line.slice(colon + 1);
    if (!token.test(name) || !value.test(content)) return undefined;
    if (!addField(headers, name.toLowerCase(), withoutSpace(content))) return undefined;
  }
  const { host, connection, "content-length": length } = headers;
  if (host === undefined) return undefined;
  if (length !== undefined && (typeof length !== "string" || !digits.test(length))) return undefined;
  const persistence = connection === undefined ? "keep-alive" : String(connection).toLowerCase();
  if (persistence !== "keep-alive" && persistence !== "close") return undefined;
  return {
    bytes: block.length,
    headers: Object.freeze(headers),
    contentLength: Number(length ?? 0),
    keepAlive: persistence === "keep-alive",
  };
}

/** Adds a field as Node does; false for one that the form does not have. */
function addField(headers: Record<string, string | string[]>, name: string, content: string): boolean {
  if (foreign.has(name)) return false;
  const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
  if (before === undefined) headers[name] = name === "set-cookie" ? [content] : content;
  else if (name === "host" || name === "content-length" || name === "connection") return false;
  else if (typeof before !== "string") before.push(content);
  else if (!single.has(name)) headers[name] = `${before}${name === "cookie" ? "; " : ", "}${content}`;
  return true;
}

/** Without spaces and tabs around it, which are the only ones of HTTP. */
function withoutSpace(content: string): string {
  let start = 0;
  let end = content.length;
  while (start < end && isSpace(content.charCodeAt(start))) start++;
  while (end > start && isSpace(content.charCodeAt(end - 1))) end--;
  return content.slice(start, end);
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
