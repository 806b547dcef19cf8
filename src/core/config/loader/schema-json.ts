import { Unit } from "./key-shape.ts";
import type { KeyField, KeySection } from "./key-tree.ts";
import { textOf, type KeyTexts } from "./key-text.ts";

type Schema = Readonly<Record<string, unknown>>;

/** A text with a reference, which stands for any value. */
const reference: Schema = { type: "string", pattern: String.raw`\$\{` };

/** The JSON Schema (2020-12) of a configuration file, for editors. @param texts the reference text of each key */
export function configSchema(root: KeySection, texts: KeyTexts): string {
  const sections = properties(root, texts);
  const references = Object.fromEntries(
    Object.keys(sections).map((name) => [name, { $ref: `#/$defs/${name}` }]),
  );
  const providers = objectOf(references);
  const communication = objectOf({ ...communicationMembers(sections), providers });
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "ts_ms.config.v1.Config",
    description: "Configuration of a program that serves with ts-ms",
    ...objectOf({ ...references, communication, providers }),
    $defs: sections,
  };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

/** The keys of the section `communication`, of an older shape. */
function communicationMembers(
  sections: Readonly<Record<string, Schema>>,
): Readonly<Record<string, Schema | undefined>> {
  const app = membersOf(sections["app"]);
  const clients = membersOf(sections["clients"]);
  return {
    default_provider: app["default_server"],
    max_connections: app["max_connections"],
    retry_attempts: clients["retry_attempts"],
    retry_delay: clients["retry_delay"],
    timeout: clients["timeout"],
  };
}

function membersOf(schema: Schema | undefined): Readonly<Record<string, Schema>> {
  return (schema?.["properties"] ?? {}) as Readonly<Record<string, Schema>>; // As `objectOf` makes them.
}

function properties(section: KeySection, texts: KeyTexts): Record<string, Schema> {
  const found: Record<string, Schema> = {};
  for (const key of section.fields) {
    const schema = schemaOf(key, texts);
    found[key.name] = schema;
    for (const alias of key.option?.aliases ?? [])
      found[alias] = { ...schema, description: `Means ${key.name}` };
  }
  return found;
}

function objectOf(members: Readonly<Record<string, Schema | undefined>>): Schema {
  return { type: ["object", "null"], properties: members, additionalProperties: false };
}

function schemaOf(key: KeyField, texts: KeyTexts): Schema {
  const text = textOf(texts, key);
  const described = text === undefined ? {} : { description: text };
  const item = key.section === undefined ? valueSchema(key) : sectionSchema(key, key.section, texts);
  switch (key.shape) {
    case "list":
      return { ...described, type: ["array", "null"], items: item };
    case "map":
      return { ...described, type: ["object", "null"], additionalProperties: item };
    case "single": {
      const byDefault = key.section === undefined ? key.option?.default : undefined;
      return {
        ...described,
        ...(byDefault === undefined ? {} : { default: defaultOf(key, byDefault) }),
        ...item,
      };
    }
  }
}

function sectionSchema(key: KeyField, section: KeySection, texts: KeyTexts): Schema {
  const members = properties(section, texts);
  const needed = section.fields.flatMap(({ name, option }) => (option?.required === true ? [name] : []));
  const object = { ...objectOf(members), ...(needed.length === 0 ? {} : { required: needed }) };
  const short = section.spellings.get(key.option?.short ?? "");
  return short === undefined ? object : { anyOf: [object, valueSchema(short)] };
}

function valueSchema(key: KeyField): Schema {
  const unit = key.option?.unit ?? Unit.UNSPECIFIED;
  const choices = key.option?.choices ?? [];
  const values = choices.length > 0 && unit === Unit.UNSPECIFIED && key.option?.min === undefined;
  const words = choices.length === 0 ? [] : [{ enum: choices.flatMap(spellings) }];
  const value = values ? [] : valueSchemas(key, unit);
  const isText =
    key.type === "text" && value.some((schema) => schema["type"] === "string" && !("pattern" in schema));
  return { anyOf: [...words, ...value, ...(isText ? [] : [reference]), { type: "null" }] };
}

/** A word, and what YAML makes of it without quotes. */
function spellings(word: string): readonly (string | number | boolean)[] {
  if (word === "true" || word === "false") return [word, word === "true"];
  return /^\d+(?:\.\d+)?$/.test(word) ? [word, Number(word)] : [word];
}

const patterns: Readonly<Partial<Record<Unit, string>>> = {
  [Unit.DURATION]: String.raw`^(?:0|\d+(?:\.\d+)?(?:ms|s|m|h))$`,
  [Unit.SIZE]: String.raw`^\d+(?:KiB|MiB|GiB)?$`,
  [Unit.RATE]: String.raw`^\d+/(?:\d+(?:\.\d+)?(?:ms|s|m|h)|hour|day|month)$`,
  [Unit.PATH]: "^/",
};

function valueSchemas(key: KeyField, unit: Unit): readonly Schema[] {
  const { option, type } = key;
  const pattern = patterns[unit];
  const text = pattern === undefined ? { type: "string" } : { type: "string", pattern };
  switch (type) {
    case "bool":
      return [{ type: "boolean" }];
    case "enum":
      return [{ enum: Object.keys(key.numbers) }];
    case "number":
      return [
        {
          type: "number",
          ...limits(
            option?.min ?? (unit === Unit.RATIO ? 0 : undefined),
            option?.max ?? (unit === Unit.RATIO ? 1 : undefined),
          ),
        },
      ];
    case "count":
      if (unit === Unit.DURATION) return [text, { const: 0 }];
      if (unit === Unit.SIZE) return [text, { type: "integer", minimum: 0 }];
      return [
        {
          type: "integer",
          ...limits(option?.min ?? 0, option?.max ?? (unit === Unit.PORT ? 65_535 : undefined)),
        },
      ];
    default: {
      const isNumber = unit === Unit.PORT || option?.min !== undefined;
      if (!isNumber) return [text];
      const most = unit === Unit.PORT ? 65_535 : undefined;
      return [
        { type: "integer", ...limits(option?.min ?? 0, most) },
        { type: "string", pattern: String.raw`^\d+$` },
      ];
    }
  }
}

function limits(minimum: number | undefined, maximum: number | undefined): Schema {
  return { ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }) };
}

function defaultOf({ type, shape }: KeyField, text: string): unknown {
  if (shape === "list") return text.split(",");
  if (type === "bool") return text === "true";
  return (type === "count" || type === "number") && /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}
