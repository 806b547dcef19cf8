import type { IncomingHttpHeaders } from "node:http";
import { ConnectError } from "../../core/errors/errors.ts";
import { isMembers } from "../../core/codec/json-members.ts";
import { pathOf, queryOf } from "../../core/net/request-target.ts";
import { parseQuery, queryDefaults } from "./query.ts";
import { HttpError } from "./http-error.ts";

/** Headers outside of the head of the handshake, where pages cannot set any. Names in lower case. */
export type SocketHeaders = Readonly<Record<string, string>>;

/** The headers in a request target. */
export interface TargetHeaders {
  /** The target without these parameters. */
  readonly url: string;
  /** From parameters `$header.NAME=VALUE`. */
  readonly headers: SocketHeaders;
  /** Whether the first frame contains headers: `$headers=frame`. */
  readonly inFrame: boolean;
  /** The error for parameters that cannot be read: 400; undefined for none. */
  readonly problem: HttpError | undefined;
}

const prefix = "$header.";
const token = /^[a-z0-9!#$%&'*+.^_`|~-]+$/;
/**
 * Values that metadata can contain. Others are refused, not dropped: a call without its `authorization` would be
 * another call.
 */
const printable = /^[\x20-\x7e]*$/;
const none: SocketHeaders = Object.freeze({});

/**
 * Removes the headers from the target of a handshake. Code that handles the request later never sees these parameters:
 * query strings are logged, and the headers may be credentials.
 */
export function extractTargetHeaders(target: string): TargetHeaders {
  const path = pathOf(target);
  if (path === target || !/(?:\$|%24)header/i.test(target)) {
    return { url: target, headers: none, inFrame: false, problem: undefined };
  }
  const headers: Record<string, string> = {};
  const rest: string[] = [];
  let inFrame = false;
  let problem: HttpError | undefined;
  for (const pair of queryOf(target, path).split("&")) {
    const parameter = /^(?:\$|%24)header/i.test(pair) ? read(pair) : undefined;
    if (parameter === null) {
      problem = new HttpError(400, "a header in the query is not valid percent-encoded UTF-8");
    } else if (parameter === undefined || !isOurs(parameter.name)) {
      rest.push(pair);
    } else if (parameter.name === "$headers") {
      inFrame = parameter.value === "frame";
      if (!inFrame) problem = new HttpError(400, 'the parameter $headers can only be "frame"');
    } else {
      const name = parameter.name.slice(prefix.length).toLowerCase();
      const wrong = whyNoHeader(name, parameter.value, headers);
      if (wrong === undefined) headers[name] = parameter.value;
      else problem = new HttpError(400, `in the query ${wrong}`);
    }
  }
  return { url: rest.length === 0 ? path : `${path}?${rest.join("&")}`, headers, inFrame, problem };
}

/**
 * Reads the frame `{"headers": {…}}`.
 *
 * @throws HttpError 400 when it is anything else
 */
export function readHeadersFrame(text: string): SocketHeaders {
  const value = parse(text);
  if (!isMembers(value) || Object.keys(value).some((name) => name !== "headers")) throw wrongFrame();
  return readHeaders(value["headers"]);
}

/**
 * Headers as an object of strings.
 *
 * @throws HttpError 400 when it is anything else
 */
export function readHeaders(value: unknown): SocketHeaders {
  if (!isMembers(value)) throw wrongFrame();
  const headers: Record<string, string> = {};
  for (const [written, text] of Object.entries(value)) {
    const name = written.toLowerCase();
    if (typeof text !== "string") throw wrongFrame();
    const wrong = whyNoHeader(name, text, headers);
    if (wrong !== undefined) throw new HttpError(400, wrong);
    headers[name] = text;
  }
  return headers;
}

/** All headers of a call. Those of the handshake's head take precedence: a trusted proxy may have set them. */
export function withHeaders(
  head: IncomingHttpHeaders,
  ...more: readonly SocketHeaders[]
): IncomingHttpHeaders {
  return more.reduceRight<IncomingHttpHeaders>(
    (known, headers) => (headers === none ? known : { ...headers, ...known }),
    head,
  );
}

/**
 * Why a name and a value cannot be added as a header; undefined if they can. The text does not contain the value, which
 * may be a secret.
 */
function whyNoHeader(name: string, value: string, known: SocketHeaders): string | undefined {
  if (!token.test(name)) return "the name of a header is malformed";
  if (Object.hasOwn(known, name)) return `the header ${name} is given twice`;
  if (printable.test(value)) return undefined;
  return `the value of the header ${name} has characters that no header can have: printable ASCII is allowed`;
}

function isOurs(name: string): boolean {
  return name === "$headers" || name.startsWith(prefix);
}

function read(pair: string): { name: string; value: string } | undefined | null {
  try {
    return parseQuery(pair, queryDefaults)[0];
  } catch (error) {
    if (error instanceof ConnectError) return null;
    throw error;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function wrongFrame(): HttpError {
  return new HttpError(400, 'the headers must be sent as {"headers": {"name": "value"}}');
}
