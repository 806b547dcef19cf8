import type { DescMessage } from "@bufbuild/protobuf";
import type { Duration, FieldMask, ListValue, Struct, Timestamp, Value } from "@bufbuild/protobuf/wkt";
import { formatDouble } from "./exact-numbers.ts";
import { formatFieldMask } from "./field-mask-text.ts";
import { type Fields, wrapped } from "./field-shape.ts";
import { formatDuration, formatTimestamp } from "./time-text.ts";
import {
  bareWriter,
  type Int64Format,
  quotedWriter,
  quoteText,
  scalarWriter,
  unwritable,
  type ValueWriter,
} from "./write-scalars.ts";

/**
 * The writer of a well-known type that has a JSON form of its own, except for `Any`; undefined for other messages.
 * The casts below follow from the type name of the descriptor, as the field holds such a message.
 *
 * @see https://protobuf.dev/programming-guides/json/
 */
export function wellKnownWriter(
  desc: DescMessage,
  int64: Int64Format,
  place: string,
): ValueWriter | undefined {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return quotedWriter((message) => {
        const { seconds, nanos } = message as Timestamp;
        const text = formatTimestamp(Number(seconds), nanos);
        if (text === undefined) throw unwritable(place, "the timestamp is outside of the years 1 to 9999");
        return text;
      });
    case "google.protobuf.Duration":
      return quotedWriter((message) => {
        const { seconds, nanos } = message as Duration;
        const text = formatDuration(Number(seconds), nanos);
        if (text === undefined) throw unwritable(place, "the duration is out of range, or its signs differ");
        return text;
      });
    case "google.protobuf.FieldMask":
      return quotedWriter((message) => {
        const text = formatFieldMask((message as FieldMask).paths);
        if (text === undefined) throw unwritable(place, "a path of the mask has no lowerCamelCase form");
        return text;
      });
    case "google.protobuf.Struct":
      return bareWriter((message) => writeStruct(message as Struct, place));
    case "google.protobuf.Value":
      return bareWriter((message) => writeValue(message as Value, place));
    case "google.protobuf.ListValue":
      return bareWriter((message) => writeList(message as ListValue, place));
    default: {
      const scalar = wrapped(desc);
      if (scalar === undefined) return undefined;
      const write = scalarWriter(scalar, int64, place);
      return {
        open: write.open,
        append: (out, message) => write.append(out, (message as Fields)["value"], undefined),
      };
    }
  }
}

function writeStruct({ fields }: Struct, place: string): string {
  let text = "";
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value !== undefined)
      text += `${text === "" ? "" : ","}${quoteText(name)}:${writeValue(value, place)}`;
  }
  return `{${text}}`;
}

function writeList({ values }: ListValue, place: string): string {
  return `[${values.map((value) => writeValue(value, place)).join(",")}]`;
}

function writeValue({ kind }: Value, place: string): string {
  switch (kind.case) {
    case "structValue":
      return writeStruct(kind.value, place);
    case "listValue":
      return writeList(kind.value, place);
    case "nullValue":
      return "null";
    case undefined:
      throw unwritable(place, "a google.protobuf.Value has no value");
    default:
      return writeJsonValue(kind.value, place);
  }
}

/** Prints the plain object that fields of type `google.protobuf.Struct` hold. */
export function writeJsonValue(value: unknown, place: string): string {
  switch (typeof value) {
    case "string":
      return quoteText(value);
    case "boolean":
      return value ? "true" : "false";
    case "number":
      if (!Number.isFinite(value)) throw unwritable(place, `a google.protobuf.Value cannot be ${value}`);
      return formatDouble(value);
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value))
        return `[${value.map((element) => writeJsonValue(element, place)).join(",")}]`;
      return `{${Object.entries(value)
        .map(([name, element]) => `${quoteText(name)}:${writeJsonValue(element, place)}`)
        .join(",")}}`;
    default:
      throw unwritable(place, `a google.protobuf.Value cannot be ${typeof value}`);
  }
}
