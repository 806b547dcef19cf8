import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence as Presence } from "@bufbuild/protobuf/wkt";
import { enumNumbers, enumTexts, isNullValue } from "../codec/enum-names.ts";
import { setOwn, wrapped } from "../codec/field-shape.ts";
import type { Comments } from "./comments.ts";
import { foreignSchema, noForeignSchema } from "./foreign-schema.ts";
import { rolesOf } from "./field-roles.ts";
import type { DescType, Namer } from "./namer.ts";
import type { LateText } from "./late-text.ts";
import { scalarSchema, scalarTextSchema, wellKnownSchema } from "./json-types.ts";
import type { SchemaForm } from "./schema-form.ts";
import { SchemaNames, type Side, type Sided } from "./schema-names.ts";
import { fieldRules, messageRuleTexts } from "./schema-rules.ts";

/** A JSON Schema of the dialect 2020-12, without references that are still to be named. */
export type JsonSchema = JsonObject;

/** Whether a document shows an element. */
export type IsVisible = (desc: DescField | DescType) => boolean;

/**
 * JSON Schemas of the messages of a contract, as the gateway takes and gives them. A message or an enum is a definition
 * of its own, to which others refer, so that messages may contain themselves.
 *
 * @see https://json-schema.org/draft/2020-12
 */
export class JsonSchemas {
  readonly #comments: Comments;
  readonly #form: SchemaForm;
  readonly #isVisible: IsVisible;
  readonly #names: SchemaNames;
  /** Types that are described, or will be when the one that refers to them is finished. */
  readonly #open: { readonly type: DescType; readonly side: Side }[] = [];

  constructor(namer: Pick<Namer, "type">, comments: Comments, form: SchemaForm, isVisible: IsVisible) {
    this.#comments = comments;
    this.#form = form;
    this.#isVisible = isVisible;
    this.#names = new SchemaNames(namer, form.prefix, form.indent);
  }

  /** The schema of a message or an enum: a reference, or the form of a well-known type. */
  of(type: DescType, side: Side): JsonSchema {
    const known = type.kind === "message" ? wellKnownSchema(type, side, this.#form) : nullSchema(type);
    if (known !== undefined) return this.#kept(known);
    const at = this.#form.split && type.kind === "message" ? side : "output";
    if (this.#names.add(type, at)) this.#open.push({ type, side: at });
    const reference = this.#names.reference(type, at);
    return type.kind === "enum" && side !== "output" && this.#form.inputs === "exact"
      ? { anyOf: [reference, { enum: aliasesOf(type) }, enumNumber(type)].filter(isUseful) }
      : reference;
  }

  /** The schema of a message in a request without some of its fields, which something else binds. */
  without(message: DescMessage, side: Side, fields: ReadonlySet<DescField>): JsonSchema {
    return fields.size === 0 ? this.of(message, side) : this.#message(message, side, fields);
  }

  /** The schema of the value of a field, with what its comment and its rules say. */
  ofField(field: DescField, side: Side): JsonSchema {
    return this.#described(field, this.#valueOf(field, side));
  }

  /** As `ofField` of a request, for a field that stands alone as a text: in a query, a path or a part of a form. */
  ofText(field: DescField): JsonSchema {
    return this.#described(field, this.#textOf(field));
  }

  #described(field: DescField, schema: JsonSchema): JsonSchema {
    const { text } = this.#comments.of(field);
    const roles = rolesOf(field);
    const ruled = fieldRules(field, schema, this.#form);
    const description = [text, ...ruled.texts].filter((part) => part !== "").join("\n\n");
    const { schema: foreign } = foreignSchema(field);
    const isPlain = !field.deprecated && !roles.outputOnly && !roles.inputOnly;
    const isBare = isPlain && description === "" && foreign === noForeignSchema.schema;
    if (isBare) return this.#kept(ruled.schema); // As most are, where there are no comments.
    return this.#kept({
      ...ruled.schema,
      ...(description !== "" && { description }),
      ...(field.deprecated && { deprecated: true }),
      ...(roles.outputOnly && { readOnly: true }),
      ...(roles.inputOnly && { writeOnly: true }),
      ...foreign,
    });
  }

  /** The name of a field in JSON. */
  nameOf(field: DescField): string {
    return this.#form.fieldNames === "json" ? field.jsonName : field.name;
  }

  /** Describes and names all definitions, in steps: other work can be done between them. */
  *finish(): Generator<void> {
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      const { type, side } = next;
      this.#names.describe(type, side, type.kind === "enum" ? this.#enum(type) : this.#message(type, side));
      yield;
    }
    yield* this.#names.settle();
  }

  /** All definitions that schemas refer to, by their names, in the order of these. */
  definitions(): Readonly<Record<string, JsonSchema>> {
    for (const _ of this.finish());
    const schemas = [...this.texts()].map(([name, text]) => [name, text.toJSON() as JsonSchema] as const); // As described.
    return Object.fromEntries(schemas);
  }

  /** The definitions behind `finish`, as texts. */
  texts(): ReadonlyMap<string, LateText<Sided>> {
    return this.#names.definitions();
  }

  #message(message: DescMessage, side: Side, left?: ReadonlySet<DescField>): JsonSchema {
    const properties: Record<string, JsonSchema> = {};
    const required: string[] = [];
    for (const field of message.fields) {
      if (left?.has(field) === true || !this.#isVisible(field) || !this.#belongs(field, side)) continue;
      const name = this.nameOf(field);
      setOwn(properties, name, this.ofField(field, side));
      if (this.#isRequired(field, side)) required.push(name);
    }
    const { text } = this.#comments.of(message);
    const description = [text, ...messageRuleTexts(message)].filter((part) => part !== "").join("\n\n");
    return this.#kept({
      type: "object",
      ...(description !== "" && { description }),
      ...(message.deprecated && { deprecated: true }),
      properties,
      ...(required.length > 0 && { required }),
      ...this.#oneofs(message, properties),
      ...foreignSchema(message).schema,
      ...(side !== "output" && this.#form.unknownFields === "reject" && { additionalProperties: false }),
    });
  }

  #belongs(field: DescField, side: Side): boolean {
    if (!this.#form.split) return true;
    const { outputOnly, inputOnly } = rolesOf(field);
    return side === "output" ? !inputOnly : !outputOnly;
  }

  #isRequired(field: DescField, side: Side): boolean {
    const { required, outputOnly } = rolesOf(field);
    if (!this.#form.split) return required && !outputOnly;
    if (side === "input") return required;
    if (side === "patch") return false;
    const isEmitted = this.#form.defaults === "emit" && field.presence === Presence.IMPLICIT;
    return isEmitted || field.presence === Presence.LEGACY_REQUIRED;
  }

  /** Of a oneof there is one member, or none: each forbids the others. */
  #oneofs(message: DescMessage, properties: Readonly<Record<string, unknown>>): JsonSchema {
    if (this.#form.keywords === "plain") return {};
    const dependentSchemas: Record<string, JsonSchema> = {};
    for (const oneof of message.oneofs) {
      const names = oneof.fields
        .map((field) => this.nameOf(field))
        .filter((name) => Object.hasOwn(properties, name));
      if (names.length < 2) continue;
      for (const name of names) {
        const others = names.filter((other) => other !== name);
        dependentSchemas[name] = { properties: Object.fromEntries(others.map((other) => [other, false])) };
      }
    }
    return Object.keys(dependentSchemas).length === 0 ? {} : { dependentSchemas };
  }

  #valueOf(field: DescField, side: Side): JsonSchema {
    const value = this.#orNull(this.#oneValue(field, side), field, side);
    if (field.fieldKind === "list") return this.#nullable({ type: "array", items: value }, side);
    if (field.fieldKind !== "map") return value;
    const names = keySchema(field.mapKey);
    const map = { type: "object", ...(names && { propertyNames: names }), additionalProperties: value };
    return this.#nullable(map, side);
  }

  /** Without `null`, which no text is. */
  #textOf(field: DescField): JsonSchema {
    if (this.#form.inputs !== "exact") return this.#valueOf(field, "input");
    const scalar = field.message === undefined ? field.scalar : wrapped(field.message);
    const value =
      scalar === undefined ? this.#oneValue(field, "input") : this.#kept(scalarTextSchema(scalar));
    if (field.fieldKind === "list") return { type: "array", items: value };
    if (field.fieldKind !== "map") return value;
    const names = keySchema(field.mapKey);
    return { type: "object", ...(names && { propertyNames: names }), additionalProperties: value };
  }

  #oneValue(field: DescField, side: Side): JsonSchema {
    if (field.message !== undefined) return this.of(field.message, side);
    if (field.enum !== undefined) return this.of(field.enum, side);
    return this.#kept(scalarSchema(field.scalar ?? ScalarType.STRING, side, this.#form));
  }

  /** In inputs of the exact form `null` means that a member is unset; not in lists and maps. */
  #orNull(schema: JsonSchema, field: DescField, side: Side): JsonSchema {
    return field.fieldKind === "list" || field.fieldKind === "map" ? schema : this.#nullable(schema, side);
  }

  #nullable(schema: JsonSchema, side: Side): JsonSchema {
    if (side === "output" || this.#form.inputs !== "exact") return schema;
    const { type } = schema;
    if (Object.keys(schema).length === 0) return schema; // It is null already.
    if (typeof type === "string" && !("enum" in schema))
      return type === "null" ? schema : { ...schema, type: [type, "null"] };
    return { anyOf: [schema, { type: "null" }] };
  }

  #enum(desc: DescEnum): JsonSchema {
    const { text } = this.#comments.of(desc);
    const values = [...enumTexts(desc, this.#form.enums).values()].map(
      (text) => JSON.parse(text) as JsonValue,
    );
    const lines = desc.values.flatMap((value) => {
      const { summary } = this.#comments.of(value);
      return summary === "" ? [] : [`- \`${value.name}\`: ${summary}`];
    });
    const description = [text, lines.join("\n")].filter((part) => part !== "").join("\n\n");
    return {
      type: this.#form.enums === "number" ? "integer" : "string",
      ...(description !== "" && { description }),
      ...(desc.deprecated && { deprecated: true }),
      enum: values,
      ...foreignSchema(desc).schema,
    };
  }

  /** Without the keywords that `plain` leaves out. */
  #kept(schema: JsonSchema): JsonSchema {
    if (this.#form.keywords === "full") return schema;
    const { pattern: _pattern, format: _format, anyOf, ...rest } = schema;
    if (!Array.isArray(anyOf)) return rest;
    return { ...rest, anyOf: anyOf.map((one) => this.#kept(one as JsonSchema)) }; // It is a list of schemas.
  }
}

/** Names of values that are taken, and never written. */
function aliasesOf(desc: DescEnum): string[] {
  const written = new Set(enumTexts(desc, "name").values());
  return [...enumNumbers(desc).keys()].filter((name) => !written.has(JSON.stringify(name)));
}

/** Numbers of values, beside the names: any that fits an open enum, else those of its values. */
function enumNumber(desc: DescEnum): JsonSchema {
  if (!desc.open) return { enum: desc.values.map(({ number }) => number) };
  return { type: "integer", format: "int32", minimum: -2_147_483_648, maximum: 2_147_483_647 };
}

/** Not a choice of nothing. */
function isUseful(schema: JsonSchema): boolean {
  return !Array.isArray(schema["enum"]) || schema["enum"].length > 0;
}

function nullSchema(desc: DescEnum): JsonSchema | undefined {
  return isNullValue(desc) ? { type: "null" } : undefined;
}

/** What keys of a map that are no texts look like. */
function keySchema(key: ScalarType): JsonSchema | undefined {
  switch (key) {
    case ScalarType.STRING:
      return undefined;
    case ScalarType.BOOL:
      return { enum: ["true", "false"] };
    case ScalarType.UINT32:
    case ScalarType.UINT64:
    case ScalarType.FIXED32:
    case ScalarType.FIXED64:
      return { pattern: "^[0-9]{1,20}$" };
    default:
      return { pattern: "^-?[0-9]{1,19}$" };
  }
}
