import { fromBinary } from "@bufbuild/protobuf";
import { type CloudEvent as Format, CloudEventSchema } from "../../gen/io/cloudevents/v1/cloudevents_pb.ts";
import { parseBase64 } from "../core/codec/base64-text.ts";
import { JsonCursor } from "../core/codec/json-cursor.ts";
import { decodeUtf8 } from "../core/codec/json-to-message.ts";
import { jsonReadDefaults } from "../core/codec/json-trace.ts";
import {
  type CloudEvent,
  eventFrom,
  type EventData,
  type ReadEvent,
  specVersion,
} from "./event-attributes.ts";

/** How an event is written in a body that has its attributes too; batches cannot be read. */
export type StructuredKind = "json" | "protobuf" | "batch";

/** The content type of the structured mode that is written. */
export const structuredJson = "application/cloudevents+json";

/** Whether a content type is that of an event with its attributes; undefined for all others. */
export function structuredKind(contentType: string | undefined): StructuredKind | undefined {
  if (contentType === undefined || !/^application\/cloudevents/i.test(contentType)) return undefined;
  const type = contentType.split(";", 1)[0]?.trim().toLowerCase();
  if (type === structuredJson) return "json";
  if (type === "application/cloudevents+protobuf") return "protobuf";
  return "batch";
}

/** Reads an event whose attributes are in its body. */
export function readStructured(
  kind: StructuredKind,
  message: EventData,
  headers: ReadonlyMap<string, string>,
): ReadEvent {
  const wrong = (why: string): ReadEvent => ({ kind: "undecodable", why, headers });
  if (kind === "batch") return wrong(`it is ${message.contentType}: only single events can be read`);
  if (message.contentEncoding !== undefined && message.contentEncoding !== "identity") {
    return wrong("its attributes are in a body with a content encoding");
  }
  if (message.body === undefined) return wrong("its attributes are missing with its body");
  try {
    const { attributes, data } =
      kind === "json" ? readJson(message.body) : readProtobuf(fromBinary(CloudEventSchema, message.body));
    const event = eventFrom(attributes);
    return typeof event === "string" ? wrong(event) : { kind: "event", event, data, headers };
  } catch (reason) {
    const problem = reason instanceof Error ? reason.message : String(reason);
    return wrong(`its body is no event: ${problem}`);
  }
}

/** The body of an event in structured mode. @param data what the binary mode has as its body */
export function writeStructured(event: CloudEvent, { contentType, body }: EventData): Buffer {
  const members: [string, unknown][] = [
    ["specversion", specVersion],
    ["id", event.id],
    ["source", event.source],
    ["type", event.type],
    ["subject", event.subject],
    ["time", event.timeMs === undefined ? undefined : new Date(event.timeMs).toISOString()],
    ...event.extensions,
    ["datacontenttype", contentType],
  ];
  const parts = members
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (body !== undefined) {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    const isText = isJsonType(contentType);
    parts.push(isText ? `"data":${bytes.toString()}` : `"data_base64":"${bytes.toString("base64")}"`);
  }
  return Buffer.from(`{${parts.join(",")}}`);
}

/** Whether bodies of this type are JSON. */
export function isJsonType(contentType: string | undefined): boolean {
  const type = contentType?.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return type === "application/json" || type === "text/json" || /^[^/]+\/[^/]+\+json$/.test(type);
}

/** What is in a body. */
interface Structured {
  readonly attributes: ReadonlyMap<string, string>;
  readonly data: EventData;
}

/** CloudEvents JSON format 1.0.2. The text of `data` is taken as it stands, so that no number is rounded. */
function readJson(body: Uint8Array): Structured {
  const cursor = new JsonCursor(decodeUtf8(body), jsonReadDefaults);
  const members = new Map<string, string>();
  if (cursor.next() !== 0x7b) cursor.unexpected("an object");
  cursor.enter();
  if (cursor.next() !== 0x7d) {
    do {
      const name = cursor.readName();
      cursor.next();
      const start = cursor.pos;
      cursor.skipValue();
      if (members.has(name)) cursor.refuse(`the member ${name} is there twice`);
      members.set(name, cursor.text.slice(start, cursor.pos));
    } while (cursor.more(0x7d));
  } else cursor.leave();
  cursor.finish();
  const [data, base64] = [members.get("data"), members.get("data_base64")];
  if (data !== undefined && base64 !== undefined) cursor.refuse("data and data_base64 are both there");
  const attributes = new Map<string, string>();
  for (const [name, text] of members) {
    const value: unknown = name === "data" || name === "data_base64" ? undefined : JSON.parse(text);
    if (value === undefined || value === null) continue;
    if (typeof value === "object") cursor.refuse(`the attribute ${name} is no single value`);
    attributes.set(name.toLowerCase(), typeof value === "string" ? value : text);
  }
  const contentType = attributes.get("datacontenttype") ?? "application/json";
  return {
    attributes,
    data: { contentType, contentEncoding: undefined, body: bytesOf(contentType, data, base64) },
  };
}

function bytesOf(
  contentType: string,
  data: string | undefined,
  base64: string | undefined,
): Uint8Array | undefined {
  if (base64 !== undefined) {
    const text: unknown = JSON.parse(base64);
    const bytes = typeof text === "string" ? parseBase64(text) : undefined;
    if (bytes === undefined) throw new Error("data_base64 is no base64");
    return bytes;
  }
  if (data === undefined) return undefined;
  // A text of another type than JSON stands in a JSON string.
  const value: unknown = isJsonType(contentType) ? undefined : JSON.parse(data);
  return Buffer.from(typeof value === "string" ? value : data);
}

/** CloudEvents Protobuf format 1.0.2. */
function readProtobuf(event: Format): Structured {
  const attributes = new Map<string, string>([
    ["specversion", event.specVersion],
    ["id", event.id],
    ["source", event.source],
    ["type", event.type],
  ]);
  for (const [name, { attr }] of Object.entries(event.attributes)) {
    const text = attributeText(attr);
    if (text !== undefined) attributes.set(name.toLowerCase(), text);
  }
  const { case: kind, value } = event.data;
  const contentType = kind === "protoData" ? "application/protobuf" : attributes.get("datacontenttype");
  const body = kind === "protoData" ? value.value : kind === "textData" ? Buffer.from(value) : value;
  return { attributes, data: { contentType, contentEncoding: undefined, body } };
}

function attributeText(attr: Format["attributes"][string]["attr"]): string | undefined {
  switch (attr.case) {
    case undefined:
      return undefined;
    case "ceBytes":
      return Buffer.from(attr.value).toString("base64");
    case "ceTimestamp":
      return new Date(Number(attr.value.seconds) * 1000 + attr.value.nanos / 1_000_000).toISOString();
    default:
      return String(attr.value);
  }
}
