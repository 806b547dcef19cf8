import { isMembers } from "../../../core/codec/json-members.ts";
import { JsonCursor } from "../../../core/codec/json-cursor.ts";
import { jsonReadDefaults } from "../../../core/codec/json-trace.ts";
import { invalidArgument } from "../../../core/errors/errors.ts";
import { readHeaders } from "../../http/socket-headers.ts";

/** The client's id of a call; a number and a string are always different ids. */
export type CallId = string | number;

/** A frame of a multiplexed socket, which belongs to one call. */
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
  /** JSON text of the call's timeout. */
  readonly timeoutMs: string | undefined;
  /** Whether the request is complete: no more messages follow. */
  readonly end: boolean;
  /** Whether the client cancels the call. */
  readonly cancel: boolean;
  /** Whether the client wants no further replies for now; undefined where it says nothing of that. */
  readonly pause: boolean | undefined;
  /** The position up to which the client has handled what it got; undefined where it says nothing of that. */
  readonly ack: string | undefined;
  /** Names a message that the client has handled, as its header `ts-ms-confirm` does; undefined where it says nothing of that. */
  readonly confirm: string | undefined;
}

/** The first frame of a client that understands the frames of rooms. */
export interface Hello {
  /** What the client calls itself; empty where it does not say. */
  readonly client: string;
}

const longestId = 128;
const longestClient = 128;
const helloForm = /^\s*\{\s*"hello"/;
const authorizationForm = /^\s*\{\s*"authorization"/;

/**
 * Splits a frame into its members without parsing the message in it: `JSON.parse` would round large numbers.
 *
 * @throws ConnectError INVALID_ARGUMENT for anything else than an envelope
 */
export function readEnvelope(text: string): CallEnvelope {
  const found = membersOf(text);
  const { id: idText, message, headers, timeoutMs, pause } = found;
  if (idText === undefined) throw invalidArgument('a frame has an "id"');
  const id = JSON.parse(idText) as unknown;
  const isId = typeof id === "string" ? id.length <= longestId : Number.isSafeInteger(id);
  if (!isId) throw invalidArgument(`an "id" is a string up to ${longestId} characters or an integer`);
  return {
    id: id as CallId, // Just checked.
    idText,
    method: textOf(found, "method"),
    message,
    headers,
    timeoutMs,
    end: flag(found, "end"),
    cancel: flag(found, "cancel"),
    pause: pause === undefined ? undefined : flag(found, "pause"),
    ack: textOf(found, "ack"),
    confirm: textOf(found, "confirm"),
  };
}

/**
 * Reads `{"hello":{"client":"NAME"}}`; undefined for any other frame.
 *
 * @throws ConnectError INVALID_ARGUMENT for a hello with anything else in it
 */
export function readHello(text: string): Hello | undefined {
  const frame = controlFrame(text, helloForm);
  if (frame === undefined) return undefined;
  const { hello, ...others } = frame;
  if (!isMembers(hello) || Object.keys(others).length > 0)
    throw invalidArgument('"hello" is an object, alone');
  const { client = "", ...unknown } = hello;
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw invalidArgument(`"hello" has no member ${JSON.stringify(name)}`);
  if (typeof client !== "string" || client.length > longestClient) {
    throw invalidArgument(`"client" is a string up to ${longestClient} characters`);
  }
  return { client };
}

/**
 * Reads `{"authorization":"Bearer …"}`, by which a client that has said hello renews its token; undefined for any other frame.
 *
 * @throws ConnectError INVALID_ARGUMENT for one with anything else in it
 */
export function readAuthorization(text: string): string | undefined {
  const { authorization, ...others } = controlFrame(text, authorizationForm) ?? {};
  if (authorization === undefined) return undefined;
  if (typeof authorization !== "string" || Object.keys(others).length > 0) {
    throw invalidArgument('"authorization" is a string, alone');
  }
  return readHeaders({ authorization })["authorization"];
}

/** A frame that begins with a member that no frame of a call has; undefined for any other. */
function controlFrame(text: string, form: RegExp): Record<string, unknown> | undefined {
  if (!form.test(text)) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>; // It begins as an object does.
  } catch {
    throw invalidArgument("a frame is a JSON object");
  }
}

const frameReading = Object.freeze({ ...jsonReadDefaults, maxEntries: 0 });

/** The members of a frame as JSON text. */
interface Members {
  id: string | undefined;
  method: string | undefined;
  message: string | undefined;
  headers: string | undefined;
  timeoutMs: string | undefined;
  end: string | undefined;
  cancel: string | undefined;
  pause: string | undefined;
  ack: string | undefined;
  confirm: string | undefined;
}

const noMembers: Readonly<Members> = Object.freeze({
  id: undefined,
  method: undefined,
  message: undefined,
  headers: undefined,
  timeoutMs: undefined,
  end: undefined,
  cancel: undefined,
  pause: undefined,
  ack: undefined,
  confirm: undefined,
});

function membersOf(text: string): Members {
  // The limits of a message are checked when it is decoded with its type.
  const cursor = new JsonCursor(text, frameReading);
  const found = { ...noMembers };
  if (cursor.next() !== 0x7b) throw invalidArgument("a frame is a JSON object");
  cursor.enter();
  if (cursor.next() === 0x7d) cursor.leave();
  else {
    do {
      const name = cursor.readName();
      if (!isMember(name)) throw invalidArgument(`a frame has no member ${JSON.stringify(name)}`);
      if (found[name] !== undefined) throw invalidArgument(`the member "${name}" occurs twice`);
      const start = cursor.pos;
      cursor.skipValue();
      found[name] = text.slice(start, cursor.pos);
    } while (cursor.more(0x7d));
  }
  cursor.finish();
  return found;
}

function isMember(name: string): name is keyof Members {
  return Object.hasOwn(noMembers, name);
}

function textOf(found: Members, name: keyof Members): string | undefined {
  const value = found[name];
  if (value === undefined) return undefined;
  if (!value.startsWith('"')) throw invalidArgument(`"${name}" is a string`);
  return JSON.parse(value) as string; // A string literal.
}

function flag(found: Members, name: keyof Members): boolean {
  const value = found[name];
  if (value !== undefined && value !== "true" && value !== "false") {
    throw invalidArgument(`"${name}" is true or false`);
  }
  return value === "true";
}
