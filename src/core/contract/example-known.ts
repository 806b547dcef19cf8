import {
  create,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { StringValueSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { rulesOfKind } from "./example-scalars.ts";
import { textsOf } from "./example-texts.ts";
import { textFor } from "./example-words.ts";

/** The moment of examples, in milliseconds: in the past, and the same at each start. */
const pastMs = Date.UTC(2025, 0, 31, 9, 30);
const futureMs = Date.UTC(2099, 11, 31, 9, 30);
const hourMs = 3_600_000;

/** What an example of a well-known message depends on. */
export interface KnownPlace {
  /** Name of its field. */
  readonly name: string;
  /** Rules of its field. */
  readonly rules: JsonObject;
  /** Which of several values. */
  readonly turn: number;
  /** The paths of a mask, in JSON. */
  readonly mask: string;
}

/** A message with a JSON form of its own, within the rules of its field; undefined for all others, and for wrappers. */
export function knownExample(
  type: DescMessage,
  { name, rules, turn, mask }: KnownPlace,
): Message | undefined {
  switch (type.typeName) {
    case "google.protobuf.Timestamp":
      return fromJson(type, timeWithin(rulesOfKind(rules, "timestamp"), turn));
    case "google.protobuf.Duration":
      return fromJson(type, durationWithin(rulesOfKind(rules, "duration"), turn));
    case "google.protobuf.FieldMask":
      return fromJson(type, maskWithin(rulesOfKind(rules, "fieldMask"), mask));
    case "google.protobuf.Struct":
      return fromJson(type, { [textFor("key", turn)]: "value" });
    case "google.protobuf.Value":
      return fromJson(type, textFor(name, turn));
    case "google.protobuf.ListValue":
      return fromJson(type, [textFor(name, turn)]);
    case "google.protobuf.Any":
      return anyWithin(type, rulesOfKind(rules, "any"), textFor(name, turn));
    case "google.api.HttpBody": {
      const data = Buffer.from(textFor("text", turn)).toString("base64");
      return fromJson(type, { contentType: "text/plain", data });
    }
    default:
      return undefined;
  }
}

function timeWithin(rules: JsonObject, turn: number): JsonValue {
  const { const: constant, ltNow, gtNow, within } = rules;
  const [example] = textsOf(rules["example"]);
  const given = constant ?? example;
  if (typeof given === "string") return given;
  if (within !== undefined) return new Date().toISOString(); // Only now is near enough to now.
  const hint = (gtNow === true && ltNow !== true ? futureMs : pastMs) + turn * hourMs;
  return new Date(millisWithin(rules, hint, (text) => Date.parse(text), 1000)).toISOString();
}

function durationWithin(rules: JsonObject, turn: number): JsonValue {
  const [listed] = [...textsOf(rules["in"]), ...textsOf(rules["example"])];
  const given = rules["const"] ?? listed;
  if (typeof given === "string") return given;
  const refused = new Set(textsOf(rules["notIn"]).map(secondsOf));
  for (let more = 0; ; more++) {
    const ms = millisWithin(rules, 60_000 + (turn + more) * 1000, (text) => secondsOf(text) * 1000, 1);
    if (!refused.has(ms / 1000) || more > refused.size) return `${ms / 1000}s`;
  }
}

function secondsOf(text: string): number {
  return Number(text.replace(/s$/, ""));
}

/** A number of milliseconds within bounds, near to another one. @param stepMs how far from a bound that is open */
function millisWithin(
  rules: JsonObject,
  hintMs: number,
  read: (text: string) => number,
  stepMs: number,
): number {
  const at = (name: string): number | undefined =>
    typeof rules[name] === "string" ? read(rules[name]) : undefined;
  const low = at("gte") ?? plus(at("gt"), stepMs) ?? Number.NEGATIVE_INFINITY;
  const high = at("lte") ?? plus(at("lt"), -stepMs) ?? Number.POSITIVE_INFINITY;
  if (low <= high) return Math.min(Math.max(hintMs, low), high);
  return hintMs >= low || hintMs <= high ? hintMs : low;
}

function plus(value: number | undefined, step: number): number | undefined {
  return value === undefined ? undefined : value + step;
}

function maskWithin(rules: JsonObject, mask: string): JsonValue {
  const { const: constant } = rules;
  if (typeof constant === "string") return constant;
  const [listed] = textsOf(rules["in"]);
  if (listed !== undefined)
    return listed.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return textsOf(rules["notIn"]).includes(mask) ? "" : mask;
}

function anyWithin(type: DescMessage, rules: JsonObject, text: string): Message {
  const [listed] = textsOf(rules["in"]);
  const typeUrl = listed ?? `type.googleapis.com/${StringValueSchema.typeName}`;
  const isTime = typeUrl.endsWith(`/${TimestampSchema.typeName}`);
  const isText = typeUrl.endsWith(`/${StringValueSchema.typeName}`);
  const value = isText
    ? toBinary(StringValueSchema, create(StringValueSchema, { value: text }))
    : isTime
      ? toBinary(TimestampSchema, create(TimestampSchema, { seconds: BigInt(pastMs / 1000) }))
      : new Uint8Array();
  return create(type, { typeUrl, value }); // The fields of an Any, whichever file defines it.
}
