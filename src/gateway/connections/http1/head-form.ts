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

/** What the fields of a head say. */
export interface Fields {
  /** Bytes of the fields, with the line breaks before and behind them. */
  readonly bytes: number;
  readonly headers: Readonly<RequestHead["headers"]>;
  readonly contentLength: number;
  readonly keepAlive: boolean;
}

/** A request line. */
export interface RequestLine {
  readonly method: string;
  readonly url: string;
}

const version = " HTTP/1.1";
const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] as const;
/** The target of a request: a path, perhaps with a query. */
export const target = /^\/[!"$-~]*$/;
/** The name of a field. */
export const token = /^[\w!#$%&'*+.^`|~-]+$/;
/** The value of a field, with the space around it. */
export const value = /^[\t\x20-\x7e\x80-\xff]*$/;
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

/** Fields that come twice in wrong requests alone, of which Node's parser keeps all for those who look closely. */
const rare: ReadonlySet<string> = new Set(["authorization", "connection", "content-length", "host"]);

/** Whether `text` is one of the methods, or, unless it is `whole`, the beginning of one. */
export function isMethodPrefix(text: string, whole: boolean): boolean {
  return methods.some((method) => (whole ? method === text : method.startsWith(text)));
}

/** The method that `text` begins with, a space behind it. */
function methodOf(text: string): string | undefined {
  for (const method of methods) {
    if (text.startsWith(method) && text.charCodeAt(method.length) === 0x20) return method;
  }
  return undefined;
}

/** The request line at the beginning of `text`, which ends at `end`; undefined for one of another form. */
export function parseRequestLine(
  text: string,
  end: number,
  { targetBytes }: HeadLimits,
): RequestLine | undefined {
  const method = methodOf(text);
  if (method === undefined || !text.startsWith(version, end - version.length)) return undefined;
  const url = text.slice(method.length + 1, end - version.length);
  return url.length <= targetBytes && target.test(url) ? { method, url } : undefined;
}

/**
 * What lines of fields say; undefined where they have another form.
 *
 * @param bytes how many bytes all of it has
 */
export function parseFields(lines: readonly string[], bytes: number): Fields | undefined {
  const headers: Record<string, string | string[]> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon === -1) return undefined;
    const name = line.slice(0, colon);
    const content = line.slice(colon + 1);
    if (!token.test(name) || !value.test(content)) return undefined;
    if (!addField(headers, name.toLowerCase(), withoutSpace(content))) return undefined;
  }
  const { connection, "content-length": length } = headers;
  if (length !== undefined && (typeof length !== "string" || !digits.test(length))) return undefined;
  const persistence = connection === undefined ? "keep-alive" : String(connection).toLowerCase();
  if (persistence !== "keep-alive" && persistence !== "close") return undefined;
  return {
    bytes,
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
  else if (rare.has(name)) return false;
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
