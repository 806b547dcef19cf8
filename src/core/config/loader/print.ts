import { pathText, type Bound, type BoundSection, type BoundValue } from "./bound.ts";
import type { Path } from "./bind.ts";
import type { KeyField, KeySection } from "./key-tree.ts";
import { mask } from "./mask.ts";

/**
 * A complete configuration as YAML that can be loaded again, each line with the origin of its value. Secrets are
 * masked.
 */
export function printYaml(root: BoundSection, section: KeySection): string {
  return `${sectionLines(root, section, "").join("\n")}\n`;
}

/** As `printYaml`, in JSON, which has no place for origins. */
export function printJson(root: BoundSection, section: KeySection): string {
  return `${JSON.stringify(jsonOfSection(root, section), undefined, 2)}\n`;
}

/** Where each value came from, by its key. */
export function originsOf(root: BoundSection): ReadonlyMap<string, string> {
  const origins = new Map<string, string>();
  const visit = (bound: Bound, path: Path): void => {
    if (bound.kind === "reset") return;
    if (path.length > 0) origins.set(pathText(path), bound.place.origin);
    if (bound.kind === "section") for (const [name, value] of bound.keys) visit(value, [...path, name]);
    else if (bound.kind === "map") for (const [name, value] of bound.entries) visit(value, [...path, name]);
    else if (bound.kind === "list")
      for (const [index, item] of bound.items.entries()) visitItem(item, [...path, index]);
  };
  const visitItem = (item: BoundValue | BoundSection, path: Path): void => {
    if (item.kind === "section") visit(item, path);
  };
  visit(root, []);
  return origins;
}

function sectionLines(bound: BoundSection, section: KeySection, indent: string): readonly string[] {
  return section.fields.flatMap((key) => {
    const value = bound.keys.get(key.name);
    return value === undefined ? [] : keyLines(key.name, value, key, indent);
  });
}

function keyLines(name: string, bound: Bound, key: KeyField, indent: string): readonly string[] {
  const start = `${indent}${quoteKey(name)}:`;
  switch (bound.kind) {
    case "value":
      return [`${start} ${scalarText(bound, key)}${comment(bound, key)}`];
    case "section":
      return key.section === undefined
        ? []
        : nested(start, bound, sectionLines(bound, key.section, `${indent}  `), key);
    case "map":
      return nested(
        start,
        bound,
        [...bound.entries].flatMap(([entry, value]) => keyLines(entry, value, key, `${indent}  `)),
        key,
      );
    case "list":
      return listLines(start, bound, key, indent);
    case "reset":
      return [];
  }
}

function nested(start: string, bound: Bound, lines: readonly string[], key: KeyField): readonly string[] {
  return lines.length === 0 ? [`${start} {}${comment(bound, key)}`] : [start, ...lines];
}

function listLines(
  start: string,
  bound: Extract<Bound, { kind: "list" }>,
  key: KeyField,
  indent: string,
): readonly string[] {
  const { section } = key;
  if (section === undefined || bound.items.length === 0) {
    const items = bound.items.flatMap((item) => (item.kind === "value" ? [scalarText(item, key, true)] : []));
    return [`${start} [${items.join(", ")}]${comment(bound, key)}`];
  }
  const items = bound.items.flatMap((item) => {
    if (item.kind !== "section") return [];
    const lines = sectionLines(item, section, `${indent}    `);
    const [first = `${indent}    {}`, ...others] = lines;
    return [`${indent}  - ${first.trimStart()}`, ...others];
  });
  return [start, ...items];
}

function comment({ place }: Bound, { option }: KeyField): string {
  const effect = option?.withoutEffect ?? "";
  return ` # ${place.origin}${effect === "" ? "" : `, ${effect}`}`;
}

function scalarText({ value, shown }: BoundValue, { type, secret }: KeyField, isItem = false): string {
  if (secret) return JSON.stringify(mask);
  if (type === "text") return quoteText(shown, isItem);
  // Durations, sizes, numbers, truth values and names of enums are as they were written.
  return shown === "" ? String(value) : shown;
}

/** A text without quotes where YAML reads the same text back, whichever key has it. */
function quoteText(text: string, isItem: boolean): string {
  const isPlain = /^[A-Za-z/][\w./-]*(?::[\w./-]+)*$/.test(text) && !/^(?:true|false|null)$/i.test(text);
  if (isPlain && !(isItem && text.includes(","))) return text;
  return JSON.stringify(withoutReferences(text));
}

/** A text that is read as it is, though it looks like a reference. */
function withoutReferences(text: string): string {
  return text.replaceAll(/\$\{/g, (start) => `$${start}`);
}

function quoteKey(name: string): string {
  return /^[A-Za-z][\w-]*$/.test(name) && !/^(?:true|false|null)$/i.test(name) ? name : JSON.stringify(name);
}

function jsonOfSection(bound: BoundSection, section: KeySection): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    section.fields.flatMap((key) => {
      const value = bound.keys.get(key.name);
      return value === undefined ? [] : [[key.name, jsonOf(value, key)] as const];
    }),
  );
}

function jsonOf(bound: Bound, key: KeyField): unknown {
  switch (bound.kind) {
    case "value":
      return jsonOfValue(bound, key);
    case "section":
      return key.section === undefined ? undefined : jsonOfSection(bound, key.section);
    case "list":
      return bound.items.map((item) => jsonOf(item, key));
    case "map":
      return Object.fromEntries(
        [...bound.entries].map(([name, value]) => [name, jsonOf(value, key)] as const),
      );
    case "reset":
      return undefined;
  }
}

function jsonOfValue({ value, shown }: BoundValue, { type, secret, option }: KeyField): unknown {
  if (secret) return mask;
  if (type === "text") return withoutReferences(shown);
  const hasUnit = type === "count" && option !== undefined && /[a-z]$/i.test(shown);
  return type === "enum" || hasUnit ? shown : value;
}
