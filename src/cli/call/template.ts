import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import type { Comments } from "../../core/contract/comments.ts";
import { rolesOf } from "../../core/contract/field-roles.ts";

/** How many messages stand in one another in a template. */
const depth = 4;

/** The JSON of messages with a form of their own, to be filled in. */
const ownForms: Readonly<Record<string, string>> = {
  "google.protobuf.Timestamp": '"1970-01-01T00:00:00Z"',
  "google.protobuf.Duration": '"0s"',
  "google.protobuf.FieldMask": '""',
  "google.protobuf.Struct": "{}",
  "google.protobuf.Value": "null",
  "google.protobuf.ListValue": "[]",
  "google.protobuf.Any": '{"@type": "type.googleapis.com/google.protobuf.Empty", "value": {}}',
  "google.protobuf.Empty": "{}",
  "google.protobuf.DoubleValue": "0",
  "google.protobuf.FloatValue": "0",
  "google.protobuf.Int32Value": "0",
  "google.protobuf.UInt32Value": "0",
  "google.protobuf.Int64Value": '"0"',
  "google.protobuf.UInt64Value": '"0"',
  "google.protobuf.BoolValue": "false",
  "google.protobuf.StringValue": '""',
  "google.protobuf.BytesValue": '""',
};

/**
 * A request as JSON with every field at its default, and `//` in front of comments: what its contract says of a field,
 * its type, and the members of oneofs beside the first.
 */
export function templateOf(message: DescMessage, comments: Comments): string {
  const known = ownForms[message.typeName];
  const about = [message.typeName, comments.of(message).text].filter(Boolean).join("\n");
  const body = known ?? new Template(comments).message(message, "", []);
  return `${commented(about, "")}${body}\n`;
}

class Template {
  readonly #comments: Comments;

  constructor(comments: Comments) {
    this.#comments = comments;
  }

  message(message: DescMessage, indent: string, outer: readonly DescMessage[]): string {
    const known = ownForms[message.typeName];
    if (known !== undefined) return known;
    if (message.fields.length === 0 || outer.includes(message) || outer.length >= depth) return "{}";
    const inner = `${indent}  `;
    const shown = message.fields.filter((field) => !rolesOf(field).outputOnly);
    const active = shown.filter((field) => field.oneof === undefined || field === firstOf(field, shown));
    const last = active.at(-1);
    const lines = shown.map((field) => {
      const about = commented(this.#about(field), inner);
      const value = this.#field(field, inner, [...outer, message]);
      const member = `${JSON.stringify(field.jsonName)}: ${value}${field === last ? "" : ","}`;
      return `${about}${active.includes(field) ? `${inner}${member}\n` : commented(member, inner)}`;
    });
    return `{\n${lines.join("")}${indent}}`;
  }

  #about(field: DescField): string {
    const { text } = this.#comments.of(field);
    const facts = [typeOf(field)];
    if (rolesOf(field).required) facts.push("required");
    if (field.oneof !== undefined)
      facts.push(`one of ${field.oneof.fields.map(({ jsonName }) => jsonName).join(", ")}`);
    return [text, facts.join("; ")].filter(Boolean).join("\n");
  }

  #field(field: DescField, indent: string, outer: readonly DescMessage[]): string {
    if (field.fieldKind === "map") {
      const key = JSON.stringify(
        field.mapKey === ScalarType.BOOL ? "true" : isText(field.mapKey) ? "key" : "0",
      );
      return `{${key}: ${this.#single(field, indent, outer)}}`;
    }
    const value = this.#single(field, indent, outer);
    return field.fieldKind === "list" ? `[${value}]` : value;
  }

  #single(field: DescField, indent: string, outer: readonly DescMessage[]): string {
    if (field.message !== undefined) return this.message(field.message, indent, outer);
    if (field.enum !== undefined) {
      if (field.enum.typeName === "google.protobuf.NullValue") return "null";
      return JSON.stringify(field.enum.values[0]?.name ?? "");
    }
    return field.scalar === undefined ? "null" : scalarText(field.scalar);
  }
}

/** The first member of the oneof of a field. */
function firstOf(field: DescField, shown: readonly DescField[]): DescField | undefined {
  return shown.find(({ oneof }) => oneof === field.oneof);
}

function typeOf(field: DescField): string {
  const name = field.message?.typeName ?? scalarName(field);
  if (field.fieldKind === "map") return `map<${ScalarType[field.mapKey]?.toLowerCase()}, ${name}>`;
  const choices = field.enum?.values.map((value) => value.name).join(", ");
  const type = choices === undefined ? name : `${name}: ${choices}`;
  return field.fieldKind === "list" ? `repeated ${type}` : type;
}

function scalarName({ enum: type, scalar }: DescField): string {
  return type?.typeName ?? (scalar === undefined ? "" : (ScalarType[scalar]?.toLowerCase() ?? ""));
}

function isText(scalar: ScalarType): boolean {
  return scalar === ScalarType.STRING;
}

function scalarText(scalar: ScalarType): string {
  switch (scalar) {
    case ScalarType.BOOL:
      return "false";
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return '""';
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return '"0"';
    default:
      return "0";
  }
}

/** Each line behind `//`. */
function commented(text: string, indent: string): string {
  return text
    .split("\n")
    .map((line) => `${indent}// ${line}`.trimEnd())
    .map((line) => `${line}\n`)
    .join("");
}
