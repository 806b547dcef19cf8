/**
 * Writes what is made of the configuration's messages: the texts of keys for `--help` and the JSON Schema, and the
 * reference in docs/config.md. A test compares both files with what this tool makes.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const messages = new URL("gen/ts_ms/config/v1/", root);

export const textsFile = "src/core/config/loader/key-texts.ts";
export const shapesFile = "src/core/config/loader/key-shapes.ts";
export const pageFile = "docs/config.md";

const begin = "<!-- keys: made by tools/config-reference.js -->";
const end = "<!-- end of keys -->";

/** The comment of each field, by message and field. */
function readTexts() {
  const texts = {};
  for (const file of readdirSync(messages).sort()) {
    if (file === "key_pb.ts") continue;
    const code = readFileSync(new URL(file, messages), "utf8");
    for (const [, name, body] of code.matchAll(/^export type (\w+) = Message<.*?> & \{\n(.*?)^\};/gms)) {
      for (const [, comment, field] of body.matchAll(
        /^ {2}\/\*\*\n(.*?)^ {3}\* @generated from field: [^;]*? (\w+) = \d+;/gms,
      )) {
        const lines = comment.split("\n").map((line) => line.replace(/^ {3}\* ?/, "").trim());
        texts[`${name}.${field}`] = lines.filter((line) => line !== "").join(" ");
      }
    }
  }
  return texts;
}

/** The file with the texts. */
export function textsCode() {
  const lines = Object.entries(readTexts()).map(([key, text]) => lineOf(JSON.stringify(key), text));
  return [
    "// Made by tools/config-reference.js of the comments in proto/ts_ms/config/v1.",
    'import type { KeyTexts } from "./key-text.ts";',
    "",
    "/** The reference texts of all keys. */",
    "export const keyTexts: KeyTexts = {",
    ...lines,
    "};",
    "",
  ].join("\n");
}

/** A member of an object with a text, as the formatter breaks lines. */
function lineOf(key, text) {
  const quoted =
    text.includes('"') && !text.includes("'") ? `'${text.replaceAll("\\", "\\\\")}'` : JSON.stringify(text);
  const line = `  ${key}: ${quoted},`;
  return line.length > 110 ? line.replace(": ", ":\n    ") : line;
}

/** The file with the shapes of all keys: reading the descriptors at each start takes too long. */
export async function shapesCode() {
  const { ConfigSchema } = await import("../gen/ts_ms/config/v1/config_pb.ts");
  const { key } = await import("../gen/ts_ms/config/v1/key_pb.ts");
  const { getOption, hasOption, ScalarType } = await import("@bufbuild/protobuf");
  const types = {
    [ScalarType.STRING]: "text",
    [ScalarType.BOOL]: "bool",
    [ScalarType.UINT32]: "count",
    [ScalarType.DOUBLE]: "number",
  };
  const lines = new Map();
  const add = (desc, above) => {
    if (above.includes(desc)) throw new Error(`${desc.typeName} contains itself`);
    if (lines.has(desc.name)) return;
    lines.set(desc.name, "");
    const shapes = desc.fields.map((field) => {
      const kind = field.listKind ?? field.mapKind ?? field.fieldKind;
      const isText = field.fieldKind !== "map" || field.mapKey === ScalarType.STRING;
      const type = kind === "message" ? "section" : kind === "enum" ? "enum" : types[field.scalar];
      if (!isText || type === undefined) throw new Error(`${field} has a type that no key can have`);
      if (kind === "message") add(field.message, [...above, desc]);
      const { fieldKind } = field;
      return {
        name: field.name,
        localName: field.localName,
        shape: fieldKind === "list" || fieldKind === "map" ? fieldKind : "single",
        type,
        section: field.message?.name,
        numbers:
          kind === "enum"
            ? Object.fromEntries(field.enum.values.map(({ name, number }) => [name, number]))
            : undefined,
        isOptional: field.proto.proto3Optional || undefined,
        option: hasOption(field, key) ? said(getOption(field, key)) : undefined,
      };
    });
    lines.set(desc.name, JSON.stringify(shapes));
  };
  add(ConfigSchema, []);
  return [
    "// Made by tools/config-reference.js of proto/ts_ms/config/v1.",
    'import type { KeyShapes } from "./key-shape.ts";',
    "",
    "/** The shapes of all keys. */",
    "export const keyShapes: KeyShapes = {",
    ...[...lines].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, text]) => lineOf(name, text)),
    "};",
    "",
  ].join("\n");
}

/** What an option says beyond its defaults. */
function said(option) {
  const isSaid = ([name, value]) =>
    !name.startsWith("$") &&
    (["min", "max", "default"].includes(name)
      ? value !== undefined
      : Array.isArray(value)
        ? value.length > 0
        : Boolean(value));
  return Object.fromEntries(Object.entries(option).filter(isSaid));
}

/** The page with its tables of keys. */
export async function pageText() {
  const { keyTree } = await import("../src/core/config/loader/key-tree.ts");
  const page = readFileSync(new URL(pageFile, root), "utf8");
  const [head] = page.split(begin);
  const [, tail] = page.split(end);
  return `${head}${begin}\n\n${tables(keyTree(), readTexts()).join("\n")}\n${end}${tail}`;
}

/** A table for each section of the configuration, and for each that is used in several places. */
function tables(tree, texts) {
  return tree.fields.flatMap((key) => {
    const rows = [];
    addRows(rows, key, keyName(key, ""), texts, 0);
    return [
      `### \`${key.name}\``,
      "",
      `${escape(texts[`Config.${key.name}`] ?? "")}`,
      "",
      ...tableOf(rows),
      "",
    ];
  });
}

function tableOf(rows) {
  return ["| key | value | default | meaning |", "| --- | --- | --- | --- |", ...rows];
}

function addRows(rows, key, path, texts, level) {
  if (key.section === undefined) {
    rows.push(rowOf(key, path, texts));
    return;
  }
  // The policies of one upstream are those of all.
  if (path.startsWith("upstreams.NAME.policies")) {
    rows.push(
      `| \`${path}\` | list | none | ${escape(texts["UpstreamConfig.policies"])} The keys of \`policies\` |`,
    );
    return;
  }
  for (const child of key.section.fields) addRows(rows, child, `${path}.${keyName(child)}`, texts, level + 1);
}

function keyName(key) {
  if (key.section === undefined) return key.name;
  return key.shape === "map" ? `${key.name}.NAME` : key.shape === "list" ? `${key.name}[]` : key.name;
}

const units = [
  "",
  "duration",
  "size",
  "rate",
  "port",
  "ratio",
  "host",
  "file",
  "folder",
  "URL",
  "range",
  "path",
];

function rowOf(key, path, texts) {
  const { option, shape, type } = key;
  const unit = units[option?.unit ?? 0];
  const words = (option?.choices ?? []).map((word) => `\`${word}\``).join(", ");
  const plain = { text: "text", bool: "true, false", count: "count", number: "number", enum: "code" }[type];
  const value =
    words === ""
      ? unit || plain
      : unit === "" && option?.min === undefined
        ? words
        : `${unit || "count"}, ${words}`;
  const form = shape === "list" ? `list: ${value}` : shape === "map" ? `names: ${value}` : value;
  const text = texts[`${key.owner}.${key.name}`] ?? "";
  const [meaning, byDefault = ""] = text.split(/ Default: (.*)$/s);
  const fixed = option?.default ?? (option?.required === true || key.isOptional ? "" : (zeros[type] ?? ""));
  const stated = shape !== "single" && option?.default === undefined ? "" : fixed;
  const shown =
    option?.required === true
      ? "must be set"
      : stated === ""
        ? byDefault.replace(/\.$/, "") || "none"
        : `\`${stated}\``;
  return `| \`${path}\` | ${form} | ${escape(shown)} | ${escape(meaning)}${marks(key)} |`;
}

const zeros = { bool: "false", count: "0", number: "0" };

function marks({ option, reload, secret }) {
  const notes = [
    ...(reload ? ["reloads"] : []),
    ...(secret ? ["secret"] : []),
    ...(option?.flag ? [`\`--${option.flag}\``] : []),
    ...(option?.aliases ?? []).map((alias) => `also \`${alias}\``),
    ...(option?.env ?? []).map((name) => `\`${name}\``),
  ];
  return notes.length === 0 ? "" : ` (${notes.join(", ")})`;
}

function escape(text) {
  return text.replaceAll("|", "\\|").replaceAll(/(?<!`)(\*+)(?!`)/g, "\\$1");
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  writeFileSync(new URL(textsFile, root), textsCode());
  writeFileSync(new URL(shapesFile, root), await shapesCode());
  writeFileSync(new URL(pageFile, root), await pageText());
}
