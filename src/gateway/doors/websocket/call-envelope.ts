import { JsonCursor } from "../../../core/codec/json-cursor.ts";
import { jsonReadDefaults } from "../../../core/codec/json-trace.ts";
import { invalidArgument } from "../../../core/errors/errors.ts";

/** What a client calls a call; a number and a string are never the same id. */
export type CallId = string | number;

/** A frame of a multiplexed socket: something about one call. */
export interface CallEnvelope {
  readonly id: CallId;
  /** The id as JSON. */
  readonly idText: string;
  /** Begins a call of this rpc, `package.Service/Method`. */
  readonly method: string | undefined;
  /** JSON text of a message. */
  readonly message: string | undefined;
  /** JSON text of headers. */
  readonly headers: string | undefined;
  /** JSON text of the call's time. */
  readonly timeoutMs: string | undefined;
  /** Whether the client sends no more messages. */
  readonly end: boolean;
  /** Whether the call is to be cancelled. */
  readonly cancel: boolean;
}

const longestId = 128;
const members: ReadonlySet<string> = new Set([
  "id",
  "method",
  "message",
  "headers",
  "timeoutMs",
  "end",
  "cancel",
]);

/**
 * Cuts a frame into its members without touching the message in it, whose numbers no other reader may round.
 *
 * @throws ConnectError INVALID_ARGUMENT for anything that is no envelope
 */
export function readEnvelope(text: string): CallEnvelope {
  const found = membersOf(text);
  const idText = found.get("id");
  if (idText === undefined) throw invalidArgument('a frame has an "id"');
  const id = JSON.parse(idText) as unknown;
  const isId = typeof id === "string" ? id.length <= longestId : Number.isSafeInteger(id);
  if (!isId) throw invalidArgument(`an "id" is a string up to ${longestId} characters or an integer`);
  const method = found.get("method");
  if (method !== undefined && !method.startsWith('"')) throw invalidArgument('a "method" is a string');
  return {
    id: id as CallId, // Just looked.
    idText,
    method: method && (JSON.parse(method) as string), // A string literal.
    message: found.get("message"),
    headers: found.get("headers"),
    timeoutMs: found.get("timeoutMs"),
    end: flag(found, "end"),
    cancel: flag(found, "cancel"),
  };
}

function membersOf(text: string): Map<string, string> {
  // What a message may have is looked at when it is read, and fields are not known here.
  const cursor = new JsonCursor(text, { ...jsonReadDefaults, maxEntries: 0 });
  const found = new Map<string, string>();
  if (cursor.next() !== 0x7b) throw invalidArgument("a frame is a JSON object");
  cursor.enter();
  if (cursor.next() === 0x7d) cursor.leave();
  else {
    do {
      const name = cursor.readName();
      if (!members.has(name)) throw invalidArgument(`a frame has no member ${JSON.stringify(name)}`);
      if (found.has(name)) throw invalidArgument(`the member "${name}" stands here twice`);
      const start = cursor.pos;
      cursor.skipValue();
      found.set(name, text.slice(start, cursor.pos));
    } while (cursor.more(0x7d));
  }
  cursor.finish();
  return found;
}

function flag(found: ReadonlyMap<string, string>, name: string): boolean {
  const value = found.get(name);
  if (value !== undefined && value !== "true" && value !== "false") {
    throw invalidArgument(`"${name}" is true or false`);
  }
  return value === "true";
}
