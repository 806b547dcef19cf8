import { isMembers } from "../../../core/codec/json-members.ts";
import { decodeUtf8 } from "../../../core/codec/json-to-message.ts";
import { pathOf, queryOf } from "../../../core/net/request-target.ts";
import { Refusal } from "./refusal.ts";

/** What a client asks for, by any way. */
export interface OperationRequest {
  readonly query: string | undefined;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>> | undefined;
  readonly extensions: Readonly<Record<string, unknown>> | undefined;
  /** The id of a document that the server has been given. */
  readonly documentId: string | undefined;
}

/** How deep objects and lists of a request may nest. */
const maxDepth = 100;

const openers = /["[\]{}]/g;

/**
 * Reads the JSON of a request. Integers that a double cannot hold are big integers, so that none is rounded.
 *
 * @throws Refusal for bytes that are no JSON, or nested too deeply
 */
export function parseJson(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = decodeUtf8(bytes);
  } catch {
    throw malformed("the body is not in UTF-8");
  }
  return parseJsonText(text, "the body");
}

/** As `parseJson`, of a text. @param what names the text in errors */
export function parseJsonText(text: string, what: string): unknown {
  checkDepth(text);
  try {
    // Only long numbers can be rounded.
    return /[0-9]{16}/.test(text) ? JSON.parse(text, exactly) : JSON.parse(text);
  } catch {
    throw malformed(`${what} is no JSON`);
  }
}

/** The arguments that JSON.parse gives to its reviver. */
type Reviver = (
  this: unknown,
  key: string,
  value: unknown,
  context?: { readonly source?: string },
) => unknown;

/** Keeps integers exact that a double cannot hold: a reviver of JSON. */
export const exactly: Reviver = (_key, value, context) => {
  const { source } = context ?? {};
  const isRounded = typeof value === "number" && !Number.isSafeInteger(value) && source !== undefined;
  return isRounded && /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
};

/** @throws Refusal for JSON that is nested too deeply */
export function checkDepth(text: string): void {
  if (text.length <= maxDepth * 2) return; // Each level has two signs.
  let depth = 0;
  openers.lastIndex = 0;
  for (let found = openers.exec(text); found !== null; found = openers.exec(text)) {
    const [sign] = found;
    if (sign === '"') openers.lastIndex = endOfString(text, found.index + 1);
    else if (sign === "[" || sign === "{") {
      if (++depth > maxDepth) throw malformed(`the request is nested more than ${maxDepth} levels deep`);
    } else depth--;
  }
}

/** The position behind the quote that ends a string. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** The request in a JSON value. @throws Refusal naming the member that is wrong */
export function requestOf(value: unknown): OperationRequest {
  if (!isMembers(value)) throw malformed('expected an object with the member "query"');
  const text = (name: string): string | undefined => {
    const member = value[name] ?? undefined;
    if (member !== undefined && typeof member !== "string") throw malformed(`"${name}" is no text`);
    return member;
  };
  const map = (name: string): Readonly<Record<string, unknown>> | undefined => {
    const member = value[name] ?? undefined;
    if (member !== undefined && !isMembers(member)) throw malformed(`"${name}" is no object`);
    return member;
  };
  return {
    query: text("query"),
    operationName: text("operationName"),
    variables: map("variables"),
    extensions: map("extensions"),
    documentId: text("documentId"),
  };
}

/** The request in the query of a target. @throws Refusal */
export function requestOfTarget(url: string): OperationRequest {
  const query = new URLSearchParams(queryOf(url, pathOf(url)));
  const json = (name: string): unknown => {
    const text = query.get(name);
    return text === null || text === "" ? undefined : parseJsonText(text, `"${name}"`);
  };
  return requestOf({
    query: query.get("query") ?? undefined,
    operationName: query.get("operationName") === "" ? undefined : (query.get("operationName") ?? undefined),
    variables: json("variables"),
    extensions: json("extensions"),
    documentId: query.get("documentId") ?? undefined,
  });
}

function malformed(message: string): Refusal {
  return new Refusal("malformed", message);
}
