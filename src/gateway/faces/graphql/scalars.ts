import { create, fromJson, type JsonValue, type Message, type Registry } from "@bufbuild/protobuf";
import {
  type Any,
  AnySchema,
  DurationSchema,
  FieldMaskSchema,
  type ListValueSchema,
  StructSchema,
  TimestampSchema,
  type ValueSchema,
} from "@bufbuild/protobuf/wkt";
import { GraphQLError, type GraphQLScalarType, Kind, type ValueNode } from "graphql";
import { formatBase64, parseBase64 } from "../../../core/codec/base64-text.ts";
import { parseExactInteger } from "../../../core/codec/exact-numbers.ts";
import { formatFieldMask, parseFieldMask } from "../../../core/codec/field-mask-text.ts";
import { jsonReader } from "../../../core/codec/json-to-message.ts";
import { jsonWriter } from "../../../core/codec/message-to-json.ts";
import {
  formatDuration,
  formatTimestamp,
  parseDuration,
  parseTimestamp,
} from "../../../core/codec/time-text.ts";
import { scalarType } from "./versions.ts";

/** The scalars of one schema beside those of GraphQL. They take and give values as messages have them. */
export interface Scalars {
  readonly Int64: GraphQLScalarType;
  readonly UInt32: GraphQLScalarType;
  readonly UInt64: GraphQLScalarType;
  readonly Bytes: GraphQLScalarType;
  readonly Timestamp: GraphQLScalarType;
  readonly Duration: GraphQLScalarType;
  readonly FieldMask: GraphQLScalarType;
  readonly JSON: GraphQLScalarType;
  readonly Any: GraphQLScalarType;
}

/** Seconds and nanoseconds, as `google.protobuf.Timestamp` and `Duration` have them. */
interface Parts {
  readonly seconds: bigint;
  readonly nanos: number;
}

const protobufJson = "https://protobuf.dev/programming-guides/json/";

/** @param registry types that an `Any` may have beside the standard ones */
export function makeScalars(registry: Registry | undefined): Scalars {
  return {
    Int64: integerScalar("Int64", -(2n ** 63n), 2n ** 63n - 1n),
    UInt64: integerScalar("UInt64", 0n, 2n ** 64n - 1n),
    UInt32: uint32(),
    Bytes: textScalar({
      name: "Bytes",
      about: "Bytes in base64.",
      specifiedByURL: "https://www.rfc-editor.org/rfc/rfc4648.html",
      expected: "base64",
      write: (value) => formatBase64(value as Uint8Array), // As fields of bytes have them.
      read: parseBase64,
    }),
    Timestamp: textScalar({
      name: "Timestamp",
      about: "A time in UTC with up to nanoseconds, by RFC 3339, such as `2026-01-02T03:04:05.5Z`.",
      specifiedByURL: "https://www.rfc-editor.org/rfc/rfc3339.html",
      expected: "a time such as 2026-01-02T03:04:05Z",
      write: (value) => timeText(value, formatTimestamp),
      read: (text) => timeOf(parseTimestamp(text), TimestampSchema),
    }),
    Duration: textScalar({
      name: "Duration",
      about: "Seconds with up to nanoseconds, such as `1.5s`.",
      specifiedByURL: protobufJson,
      expected: "a duration such as 1.5s",
      write: (value) => timeText(value, formatDuration),
      read: (text) => timeOf(parseDuration(text), DurationSchema),
    }),
    FieldMask: textScalar({
      name: "FieldMask",
      about: "Paths of fields in lowerCamelCase, joined by commas, such as `title,publication.year`.",
      specifiedByURL: protobufJson,
      expected: "paths of fields in lowerCamelCase, joined by commas",
      write: (value) => formatFieldMask((value as { paths: string[] }).paths), // As such messages are.
      read: (text) => {
        const paths = parseFieldMask(text);
        return paths && create(FieldMaskSchema, { paths });
      },
    }),
    JSON: scalarType({
      name: "JSON",
      description: "Any value of JSON.",
      specifiedByURL: "https://www.rfc-editor.org/rfc/rfc8259.html",
      write: (value) => value,
      readValue: plainJson,
    }),
    Any: anyScalar(registry),
  };
}

/** A scalar whose values are texts. */
interface TextScalar {
  readonly name: string;
  readonly about: string;
  readonly specifiedByURL: string;
  readonly expected: string;
  /** Undefined for a value without a text. */
  readonly write: (value: unknown) => string | undefined;
  /** Undefined for a text that is none of its values. */
  readonly read: (text: string) => unknown;
}

function textScalar({
  name,
  about,
  specifiedByURL,
  expected,
  write: textOf,
  read,
}: TextScalar): GraphQLScalarType {
  const parse = (value: unknown, node?: ValueNode): unknown => {
    const parsed = typeof value === "string" ? read(value) : undefined;
    if (parsed === undefined) throw refusal(name, expected, value, node);
    return parsed;
  };
  return scalarType({
    name,
    description: about,
    specifiedByURL,
    write(value) {
      const text = textOf(value);
      if (text === undefined) throw new GraphQLError(`${name} cannot represent the value of this field`);
      return text;
    },
    readValue: (value) => parse(value),
    readLiteral: (node) => parse(node.kind === Kind.STRING ? node.value : undefined, node),
  });
}

/** 64 bits: texts out, texts and integers in, none of them rounded. */
function integerScalar(name: string, least: bigint, most: bigint): GraphQLScalarType {
  const expected = `an integer from ${least} to ${most}, as a text or exactly as a number`;
  const parse = (value: unknown, node?: ValueNode): bigint => {
    const parsed = exactInteger(value);
    if (parsed === undefined || parsed < least || parsed > most) throw refusal(name, expected, value, node);
    return parsed;
  };
  return scalarType({
    name,
    description: `Integers from ${least} to ${most}. They are texts in results; texts and integers are taken.`,
    write: String,
    readValue: (value) => parse(value),
    readLiteral: (node) => parse(integerText(node), node),
  });
}

function uint32(): GraphQLScalarType {
  const expected = "an integer from 0 to 4294967295";
  const parse = (value: unknown, node?: ValueNode): number => {
    const parsed = typeof value === "string" && node === undefined ? undefined : exactInteger(value);
    if (parsed === undefined || parsed < 0n || parsed > 4_294_967_295n)
      throw refusal("UInt32", expected, value, node);
    return Number(parsed);
  };
  return scalarType({
    name: "UInt32",
    description: "Integers from 0 to 4294967295.",
    write: (value) => value,
    readValue: (value) => parse(value),
    readLiteral: (node) => parse(node.kind === Kind.INT ? node.value : undefined, node),
  });
}

/** Numbers above 2^53 are big integers: see `parseBody`. */
function exactInteger(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === "string" ? parseExactInteger(value) : undefined;
}

function integerText(node: ValueNode): string | undefined {
  return node.kind === Kind.INT || node.kind === Kind.STRING ? node.value : undefined;
}

function anyScalar(registry: Registry | undefined): GraphQLScalarType {
  const reader = jsonReader(AnySchema, { registry });
  const writer = jsonWriter(AnySchema, { registry });
  const parse = (value: unknown): Message => {
    const plain = plainJson(value);
    if (typeof plain !== "object" || plain === null || Array.isArray(plain)) {
      throw refusal("Any", 'an object with the member "@type", in a variable', value);
    }
    return reader.read(JSON.stringify(plain));
  };
  return scalarType({
    name: "Any",
    description:
      'A message of any type: an object with its fields and the URL of its type as the member "@type". GraphQL has no ' +
      "literals for such a member, so that it is taken in variables only.",
    specifiedByURL: protobufJson,
    write: (value) => JSON.parse(writer.write(value as Any)) as unknown, // As fields of this type have it.
    readValue: parse,
  });
}

function timeText(
  value: unknown,
  format: (seconds: number, nanos: number) => string | undefined,
): string | undefined {
  const { seconds, nanos } = value as Parts; // As Timestamps and Durations are.
  return format(Number(seconds), nanos);
}

function timeOf(
  parts: { readonly seconds: number; readonly nanos: number } | undefined,
  schema: typeof TimestampSchema | typeof DurationSchema,
): Message | undefined {
  return parts && create(schema, { seconds: BigInt(parts.seconds), nanos: parts.nanos });
}

/** The message of a JSON value. @throws GraphQLError for JSON of another kind */
export function messageOfJson(
  schema: typeof ValueSchema | typeof StructSchema | typeof ListValueSchema,
  value: unknown,
): Message {
  try {
    return fromJson(schema, value as JsonValue); // As `JSON` has read it.
  } catch {
    const kind = schema === StructSchema ? "an object" : "a list";
    throw new GraphQLError(`JSON: expected ${kind} here`);
  }
}

/** A value as JSON has it: without big integers, and objects with a prototype. */
function plainJson(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(plainJson);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plainJson(member)]));
}

function refusal(name: string, expected: string, value: unknown, node?: ValueNode): GraphQLError {
  const found = excerpt(value);
  return new GraphQLError(
    `${name}: expected ${expected}${found === "" ? "" : `, found ${found}`}`,
    node && { nodes: [node] },
  );
}

function excerpt(value: unknown): string {
  const text =
    typeof value === "string"
      ? JSON.stringify(value)
      : typeof value === "number" || typeof value === "bigint"
        ? String(value)
        : "";
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
