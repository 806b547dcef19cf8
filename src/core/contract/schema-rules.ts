import type { DescEnum, DescField, DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../codec/json-members.ts";
import { foreignOption } from "./foreign-options.ts";
import type { SchemaForm } from "./schema-form.ts";

/** A schema with the rules of `buf.validate`, and a sentence for each rule that no keyword can say. */
export interface RuledSchema {
  readonly schema: JsonObject;
  readonly texts: readonly string[];
}

/** Kinds of numbers in `buf.validate`. */
const numbers = new Set(
  "float double int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64".split(" "),
);
/** Formats of JSON Schema by the rules of texts that are the same. */
const formats: Readonly<Record<string, string>> = {
  email: "email",
  hostname: "hostname",
  ipv4: "ipv4",
  ipv6: "ipv6",
  uri: "uri",
  uriRef: "uri-reference",
  uuid: "uuid",
};
/** What RE2 has and ECMAScript has not, or has with another meaning. */
const onlyRe2 = /\(\?[a-zA-Z-]+[:)]|\(\?P<|\\[AzCQEpP]|\[\[:|\\x\{/;

/** Adds the rules of a field to the schema of its value. */
export function fieldRules(field: DescField, schema: JsonObject, form: SchemaForm): RuledSchema {
  const rules = objectOf(foreignOption(field, "buf.validate.field"));
  if (rules === undefined) return { schema, texts: [] };
  const into = new RuleWriter(form);
  return { schema: into.write(schema, rules, field.enum), texts: into.texts };
}

/** Sentences of the rules of a whole message. */
export function messageRuleTexts(message: DescMessage): readonly string[] {
  const rules = objectOf(foreignOption(message, "buf.validate.message"));
  return rules === undefined ? [] : celTexts(rules);
}

class RuleWriter {
  readonly texts: string[] = [];
  readonly #form: SchemaForm;

  constructor(form: SchemaForm) {
    this.#form = form;
  }

  write(schema: JsonObject, rules: JsonObject, desc: DescEnum | undefined): JsonObject {
    if (rules["ignore"] === "IGNORE_ALWAYS") return schema;
    this.texts.push(...celTexts(rules));
    for (const [kind, value] of Object.entries(rules)) {
      const of = objectOf(value);
      if (of === undefined) continue;
      const ruled = this.#ofKind(kind, schema, of, desc);
      if (ruled === undefined) continue;
      return rules["ignore"] === "IGNORE_IF_ZERO_VALUE" ? orZero(kind, ruled) : ruled;
    }
    return schema;
  }

  #ofKind(
    kind: string,
    schema: JsonObject,
    of: JsonObject,
    desc: DescEnum | undefined,
  ): JsonObject | undefined {
    if (kind === "string") return this.#text(schema, of);
    if (numbers.has(kind)) return this.#number(kind, schema, of);
    if (kind === "repeated") return this.#list(schema, of, desc);
    if (kind === "map") return this.#map(schema, of, desc);
    if (kind === "enum") return this.#enum(schema, of, desc);
    return kind === "bool" && "const" in of ? both(schema, { const: of["const"] ?? null }) : undefined;
  }

  #text(schema: JsonObject, of: JsonObject): JsonObject {
    const added: Record<string, JsonValue> = {};
    const { const: constant, len, minLen, maxLen, in: list, notIn } = of;
    if (constant !== undefined) added["const"] = constant;
    if ((minLen ?? len) !== undefined) added["minLength"] = Number(minLen ?? len);
    if ((maxLen ?? len) !== undefined) added["maxLength"] = Number(maxLen ?? len);
    if (Array.isArray(list)) added["enum"] = list;
    if (Array.isArray(notIn)) added["not"] = { enum: notIn };
    const format = Object.keys(formats).find((name) => of[name] === true);
    if (format !== undefined && this.#form.keywords === "full") added["format"] = formats[format] ?? format;
    if (of["ip"] === true) added["anyOf"] = [{ format: "ipv4" }, { format: "ipv6" }];
    const patterns = this.#patterns(of);
    const [first, ...more] = patterns;
    if (first !== undefined && this.#form.keywords === "full") {
      added["pattern"] = first;
      if (more.length > 0) added["allOf"] = more.map((pattern) => ({ pattern }));
    }
    return both(schema, added);
  }

  #patterns({ pattern, prefix, suffix, contains }: JsonObject): string[] {
    const patterns: string[] = [];
    if (typeof pattern === "string") {
      if (readsAlike(pattern)) patterns.push(pattern);
      else this.texts.push(`Matches \`${pattern}\` (RE2).`);
    }
    if (typeof prefix === "string") patterns.push(`^${escaped(prefix)}`);
    if (typeof suffix === "string") patterns.push(`${escaped(suffix)}$`);
    if (typeof contains === "string") patterns.push(escaped(contains));
    return patterns;
  }

  #number(kind: string, schema: JsonObject, of: JsonObject): JsonObject {
    const { const: constant, in: list, notIn } = of;
    const low = Number(of["gt"] ?? of["gte"]);
    const high = Number(of["lt"] ?? of["lte"]);
    // Outside of a range, which keywords of bounds cannot say.
    const isOutside = low >= high;
    // Texts of 64 bits have no bounds in JSON Schema.
    const isText = kind.endsWith("64") && this.#form.int64 !== "number";
    if (isText || isOutside) {
      const rules = ["const", "gt", "gte", "lt", "lte", "in", "notIn"].filter(
        (name) => of[name] !== undefined,
      );
      if (rules.length > 0)
        this.texts.push(
          `${rules.map((name) => boundText(name, of[name])).join(isOutside ? " or " : " and ")}.`,
        );
      return schema;
    }
    const added: Record<string, JsonValue> = {};
    if (of["gt"] !== undefined) added["exclusiveMinimum"] = Number(of["gt"]);
    if (of["gte"] !== undefined) added["minimum"] = Number(of["gte"]);
    if (of["lt"] !== undefined) added["exclusiveMaximum"] = Number(of["lt"]);
    if (of["lte"] !== undefined) added["maximum"] = Number(of["lte"]);
    if (constant !== undefined) added["const"] = constant;
    if (Array.isArray(list)) added["enum"] = list;
    if (Array.isArray(notIn)) added["not"] = { enum: notIn };
    return both(schema, added);
  }

  #list(schema: JsonObject, of: JsonObject, desc: DescEnum | undefined): JsonObject {
    const { minItems, maxItems, unique, items } = of;
    const inner = objectOf(items);
    const value = objectOf(schema["items"]);
    return both(schema, {
      ...(minItems !== undefined && { minItems: Number(minItems) }),
      ...(maxItems !== undefined && { maxItems: Number(maxItems) }),
      ...(unique === true && { uniqueItems: true }),
      ...(inner !== undefined && value !== undefined && { items: this.write(value, inner, desc) }),
    });
  }

  #map(schema: JsonObject, of: JsonObject, desc: DescEnum | undefined): JsonObject {
    const { minPairs, maxPairs, keys, values } = of;
    const ofKeys = objectOf(keys);
    const ofValues = objectOf(values);
    const value = objectOf(schema["additionalProperties"]);
    const names = objectOf(schema["propertyNames"]) ?? {};
    return both(schema, {
      ...(minPairs !== undefined && { minProperties: Number(minPairs) }),
      ...(maxPairs !== undefined && { maxProperties: Number(maxPairs) }),
      ...(ofKeys?.["string"] !== undefined && { propertyNames: this.write(names, ofKeys, undefined) }),
      ...(ofValues !== undefined &&
        value !== undefined && { additionalProperties: this.write(value, ofValues, desc) }),
    });
  }

  #enum(schema: JsonObject, of: JsonObject, desc: DescEnum | undefined): JsonObject {
    const names = (list: JsonValue): JsonValue[] =>
      (Array.isArray(list) ? list : [list]).map((number) => this.#valueName(desc, number));
    const { const: constant, in: list, notIn } = of;
    return both(schema, {
      ...(constant !== undefined && { enum: names(constant) }),
      ...(Array.isArray(list) && { enum: names(list) }),
      ...(Array.isArray(notIn) && { not: { enum: names(notIn) } }),
    });
  }

  #valueName(desc: DescEnum | undefined, number: JsonValue): JsonValue {
    if (this.#form.enums === "number") return number;
    return desc?.values.find((value) => value.number === number)?.jsonName ?? number;
  }
}

/** The schema and further keywords: beside a reference they hold too. */
function both(schema: JsonObject, added: JsonObject): JsonObject {
  return Object.keys(added).length === 0 ? schema : { ...schema, ...added };
}

/** A value that is not checked at its default. */
function orZero(kind: string, ruled: JsonObject): JsonObject {
  const zero = kind === "string" ? "" : numbers.has(kind) ? 0 : undefined;
  return zero === undefined ? ruled : { anyOf: [{ const: zero }, ruled] };
}

function celTexts(rules: JsonObject): string[] {
  const { cel, celExpression } = rules;
  const messages = (Array.isArray(cel) ? cel : []).flatMap((rule) => {
    const { message, expression } = objectOf(rule) ?? {};
    if (typeof message === "string" && message !== "") return [sentence(message)];
    return typeof expression === "string" ? [`\`${expression}\``] : [];
  });
  const bare = (Array.isArray(celExpression) ? celExpression : []).map(
    (expression) => `\`${textOf(expression)}\``,
  );
  return [...messages, ...bare];
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function boundText(name: string, value: JsonValue | undefined): string {
  const words: Readonly<Record<string, string>> = {
    const: "Is",
    gt: "Greater than",
    gte: "At least",
    lt: "Less than",
    lte: "At most",
    in: "One of",
    notIn: "None of",
  };
  return `${words[name] ?? name} ${Array.isArray(value) ? value.map(textOf).join(", ") : textOf(value)}`;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value ?? null);
}

function objectOf(value: JsonValue | undefined): JsonObject | undefined {
  return isMembers(value) ? value : undefined;
}

/** Whether ECMAScript reads an expression of RE2 in the same way. */
function readsAlike(pattern: string): boolean {
  if (onlyRe2.test(pattern)) return false;
  try {
    return new RegExp(pattern, "u").source !== "";
  } catch {
    return false;
  }
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}
