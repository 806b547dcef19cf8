import { isUtf8 } from "node:buffer";
import type { JsonValue } from "@bufbuild/protobuf";
import { JsonCursor } from "../../../core/codec/json-cursor.ts";
import { jsonReadDefaults, unknownStep } from "../../../core/codec/json-trace.ts";
import { toCallError } from "../../../core/errors/errors.ts";
import { RpcError, rpcCodes } from "./rpc-error.ts";

/** A part of the text of a message: a value as it came. */
export class RawJson {
  readonly #text: string;
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;
  readonly #members: RawMembers | undefined;

  /**
   * @param bytes those of the whole text
   * @param members its own, where they have been read
   */
  constructor(text: string, bytes: Buffer, start: number, end: number, members?: RawMembers) {
    this.#text = text;
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#members = members;
  }

  get isObject(): boolean {
    return this.#text.charCodeAt(this.#start) === openBrace;
  }

  /** Its members; undefined for a value that is no object. */
  members(): RawMembers | undefined {
    if (this.#members !== undefined || !this.isObject) return this.#members;
    const { text, bytes } = this;
    return membersAt({ cursor: new JsonCursor(text, jsonReadDefaults), text, bytes }, notRead);
  }

  get text(): string {
    return this.#text.slice(this.#start, this.#end);
  }

  /** Its UTF-8 bytes. */
  get bytes(): Buffer {
    // In ASCII places in the text are those in the bytes.
    return this.#text.length === this.#bytes.length
      ? this.#bytes.subarray(this.#start, this.#end)
      : Buffer.from(this.text);
  }

  /** Its elements, each as it came; undefined for a value that is no array. */
  elements(): readonly RawJson[] | undefined {
    const { text, bytes } = this;
    const cursor = new JsonCursor(text, jsonReadDefaults);
    if (cursor.next() !== openBracket) return undefined;
    const found: RawJson[] = [];
    cursor.enter();
    if (cursor.next() === closeBracket) return found;
    do {
      cursor.next();
      const start = cursor.pos;
      cursor.skipValue();
      found.push(new RawJson(text, bytes, start, cursor.pos));
    } while (cursor.more(closeBracket));
    return found;
  }

  /** Its value, with rounded numbers. */
  get value(): JsonValue {
    return JSON.parse(this.text) as JsonValue; // The cursor has read it.
  }
}

/** Members of an object, in their order. */
export type RawMembers = ReadonlyMap<string, RawJson>;

/** A message of a client: a request, or a notification where there is no id. */
export interface RpcMessage {
  /** The id as it came, a text or a number in JSON; undefined for notifications. */
  readonly id: string | undefined;
  /** Undefined for an answer of the client, which nothing asks for. */
  readonly method: string | undefined;
  readonly params: RawMembers;
  /** The members of `_meta` of the parameters. */
  readonly meta: RawMembers;
}

const none: RawMembers = new Map();
/** Most letters of a name of a method. */
const maxMethodLength = 128;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;

/**
 * Reads a message.
 *
 * @throws RpcError with the status 400
 */
export function readMessage(bytes: Buffer): RpcMessage {
  if (!isUtf8(bytes)) throw malformed("the body is no UTF-8");
  const text = bytes.toString("utf8");
  const cursor = new JsonCursor(text, jsonReadDefaults);
  try {
    checkObject(cursor);
    const members = membersAt({ cursor, text, bytes }, 0);
    cursor.finish();
    return toMessage(members);
  } catch (reason) {
    if (reason instanceof RpcError) throw reason;
    throw malformed(toCallError(reason).rawMessage);
  }
}

/** @throws RpcError for a message that is JSON, but no object */
function checkObject(cursor: JsonCursor): void {
  const first = cursor.next();
  if (first === openBrace) return;
  cursor.skipValue(); // What is no JSON at all has another code.
  if (first === openBracket) throw invalid("batches are not served: send one message in a request");
  throw invalid("a message is an object");
}

/** A text that is being read. */
interface Source {
  readonly cursor: JsonCursor;
  readonly text: string;
  readonly bytes: Buffer;
}

/** Members that are read with the message, in one pass: `params` with its `_meta`. */
const readAlong = ["params", "_meta"];
/** The level of an object none of whose members is one of these. */
const notRead = readAlong.length;

/** The members of the object at the cursor. @param level how deep it is in the message */
function membersAt(source: Source, level: number): RawMembers {
  const { cursor, text, bytes } = source;
  const found = new Map<string, RawJson>();
  const at = cursor.enter();
  if (cursor.next() === closeBrace) {
    cursor.leave();
    return found;
  }
  do {
    const name = cursor.readName();
    if (level > 0) {
      cursor.path[at] = unknownStep(name);
      cursor.countEntry();
    }
    const start = cursor.pos;
    const isAlong = name === readAlong[level] && cursor.next() === openBrace;
    const members = isAlong ? membersAt(source, level + 1) : undefined;
    if (members === undefined) cursor.skipValue();
    if (found.has(name)) refuseTwice(name, cursor, level);
    found.set(name, new RawJson(text, bytes, start, cursor.pos, members));
  } while (cursor.more(closeBrace));
  return found;
}

function refuseTwice(name: string, cursor: JsonCursor, level: number): never {
  if (level > 0) cursor.refuse("the member stands here twice");
  throw invalid(`the member ${JSON.stringify(name.slice(0, 40))} stands here twice`);
}

function toMessage(members: RawMembers): RpcMessage {
  if (members.get("jsonrpc")?.text !== '"2.0"') throw invalid('"jsonrpc" is "2.0"');
  const id = members.get("id")?.text;
  if (id !== undefined && !/^(?:"|-?\d+$)/.test(id)) throw invalid('"id" is a text or an integer');
  const method = members.get("method")?.value;
  if (method === undefined) {
    if (members.has("result") || members.has("error")) return { id, method, params: none, meta: none };
    throw invalid('a request has a "method"');
  }
  if (typeof method !== "string" || method.length > maxMethodLength)
    throw invalid('"method" is a short text');
  const raw = members.get("params");
  const params = raw === undefined ? none : childrenOf(raw, "params");
  const meta = params.get("_meta");
  return { id, method, params, meta: meta === undefined ? none : childrenOf(meta, "_meta") };
}

function childrenOf(raw: RawJson, name: string): RawMembers {
  const members = raw.members();
  if (members === undefined) throw new RpcError(rpcCodes.invalidParams, `"${name}" is an object`, 400);
  return members;
}

function malformed(problem: string): RpcError {
  return new RpcError(rpcCodes.parseError, `the body is no JSON: ${problem}`, 400);
}

function invalid(problem: string): RpcError {
  return new RpcError(rpcCodes.invalidRequest, problem, 400);
}

/** The value of a parameter that is a text. @throws RpcError -32602 for a missing one and for another value */
export function textParam(params: RawMembers, name: string): string {
  const value = params.get(name)?.value;
  if (typeof value === "string") return value;
  throw new RpcError(rpcCodes.invalidParams, `"${name}" is a text`, 400);
}

/** The text of an answer. @param result in JSON */
export function resultText(id: string, result: string): string {
  return `{"jsonrpc":"2.0","id":${id},"result":${result}}`;
}

/** Stands in a result where a list is: no JSON has it. */
export const listPlace = "\0";

/** As `resultText`, with the bytes of a list in its place. */
export function resultWithList(id: string, result: string, list: Buffer): Buffer {
  const [before = "", after = ""] = resultText(id, result).split(listPlace);
  return Buffer.concat([Buffer.from(before), list, Buffer.from(after)]);
}

/** The text of an error. @param id null where it cannot be told */
export function errorText(id: string | undefined, { code, message, data }: RpcError): string {
  const error = { code, message, ...(data && { data }) };
  return `{"jsonrpc":"2.0","id":${id ?? "null"},"error":${JSON.stringify(error)}}`;
}
