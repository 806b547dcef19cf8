import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { StatusSchema } from "../../gen/google/rpc/status_pb.ts";
import { formatBase64, parseBase64 } from "../core/codec/base64-text.ts";
import { Code, ConnectError, fromStatus, toStatus } from "../core/errors/errors.ts";
import { isReservedHeader } from "../core/metadata/reserved-headers.ts";
import type { Delivery, IncomingMessage } from "./broker.ts";
import { eventOf } from "./cloud-event.ts";
import type { EventData } from "./event-attributes.ts";
import { ownPrefix } from "./message-metadata.ts";

/** What a call has ended with, as its handler's side gives it. */
export interface CallResult {
  /** Undefined where the call was good. */
  readonly error: ConnectError | undefined;
  /** The protobuf bytes of the reply; of no use where there is an error. */
  readonly body: Uint8Array;
  readonly headers: Headers | undefined;
  readonly trailers: Headers | undefined;
}

/** What a call has ended with, as its caller reads it. */
export interface ReadReply {
  /** Its metadata has headers and trailers. */
  readonly error: ConnectError | undefined;
  readonly data: EventData;
  /** Makes the headers; mostly they are not looked at. */
  readonly headers: () => Headers;
  /** As `headers`. */
  readonly trailers: () => Headers;
}

/** A message for `Delivery.reply`. */
export type ReplyMessage = Parameters<NonNullable<Delivery["reply"]>>[0];

const statusHeader = `${ownPrefix}status`;
const headerPrefix = `${ownPrefix}header-`;
const trailerPrefix = `${ownPrefix}trailer-`;

/**
 * The reply of a call: a message without attributes. `x-ts-ms-status` is the code, or the whole `google.rpc.Status` of an
 * error in base64; headers and trailers have prefixes of their own, so that they are no headers of the message.
 */
export function replyMessage({ error, body, headers, trailers }: CallResult): ReplyMessage {
  const all = new Map<string, string>();
  const status = error === undefined ? "0" : formatBase64(toBinary(StatusSchema, toStatus(error)));
  all.set(statusHeader, status);
  add(all, headerPrefix, headers);
  add(all, trailerPrefix, trailers);
  return {
    event: undefined,
    headers: all,
    contentType: "application/protobuf",
    contentEncoding: undefined,
    body: error === undefined ? body : new Uint8Array(0),
  };
}

/** Reads the reply of a call. @throws ConnectError INTERNAL for a message that is none */
export function readReply(message: IncomingMessage): ReadReply {
  const read = eventOf(message);
  const headers = (): Headers => fieldsOf(read.headers, headerPrefix);
  const trailers = (): Headers => fieldsOf(read.headers, trailerPrefix);
  const { contentType, contentEncoding, body } = message;
  const data: EventData = { contentType, contentEncoding, body };
  const status = read.headers.get(statusHeader);
  if (status === "0") return { error: undefined, data, headers, trailers };
  return { error: errorOf(status, new Headers([...headers(), ...trailers()])), data, headers, trailers };
}

function errorOf(status: string | undefined, metadata: Headers): ConnectError {
  const bytes = status === undefined ? undefined : parseBase64(status);
  try {
    if (bytes !== undefined) return fromStatus(fromBinary(StatusSchema, bytes), metadata);
  } catch {
    // The same as none.
  }
  return new ConnectError("the broker gave a reply without a status", Code.Internal);
}

function add(all: Map<string, string>, prefix: string, fields: Headers | undefined): void {
  for (const [name, value] of fields ?? []) if (!isReservedHeader(name)) all.set(prefix + name, value);
}

function fieldsOf(headers: ReadonlyMap<string, string>, prefix: string): Headers {
  const fields = new Headers();
  for (const [name, value] of headers) {
    if (name.startsWith(prefix)) put(fields, name.slice(prefix.length), value);
  }
  return fields;
}

/** Values that no header can have are left out. */
function put(into: Headers, name: string, value: string): void {
  try {
    into.append(name, value);
  } catch {
    // Another program has written it.
  }
}
