import { STATUS_CODES } from "../../../core/net/node-http.ts";
import type { ResponseHeaders } from "../../http/exchange.ts";

const lineEnd = "\r\n";
const token = /^[\w!#$%&'*+.^`|~-]+$/;
const value = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * The head of an answer as Node writes it, to the order of its fields.
 *
 * @param persistence the lines that say whether the connection is kept
 * @throws Error for header fields that HTTP cannot hold
 */
export function headText(status: number, headers: ResponseHeaders, persistence: string): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
  for (const name in headers) {
    const content = headers[name];
    if (typeof content === "string") text += fieldText(name, content);
    else if (content !== undefined) for (const one of content) text += fieldText(name, one);
  }
  return `${text}Date: ${dateText()}\r\n${persistence}\r\n`;
}

/** Names of headers with a colon behind them, those that were found good; as many at most. */
const prefixes = new Map<string, string>();
const mostPrefixes = 256;

function fieldText(name: string, content: string): string {
  const prefix = prefixes.get(name) ?? prefixOf(name);
  if (prefix === undefined || !value.test(content)) {
    throw new TypeError(`the header ${JSON.stringify(name)} cannot be written`);
  }
  return prefix + content + lineEnd;
}

/** Undefined for what is no name. */
function prefixOf(name: string): string | undefined {
  if (!token.test(name)) return undefined;
  const prefix = `${name}: `;
  if (prefixes.size < mostPrefixes) prefixes.set(name, prefix);
  return prefix;
}

/** The lines behind which a connection is closed. */
export const closeText = "Connection: close\r\n";

/** The lines that keep a connection for `timeoutMs` milliseconds without a request; 0 for no such limit. */
export function keepText(timeoutMs: number): string {
  const keep = "Connection: keep-alive\r\n";
  return timeoutMs === 0 ? keep : `${keep}Keep-Alive: timeout=${Math.floor(timeoutMs / 1000)}\r\n`;
}

let dateSecond = 0;
let date = "";

/** The `Date` of an answer, made once a second. */
function dateText(): string {
  const now = Date.now();
  const second = Math.floor(now / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    date = new Date(now).toUTCString();
  }
  return date;
}
