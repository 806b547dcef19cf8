import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import { LateText } from "../../../core/contract/late-text.ts";
import { yamlMember } from "./yaml-text.ts";

/** A part of a document of which each member is a step, and those of its members that are such parts too. */
interface Large {
  readonly [name: string]: Large;
}

/** `*` stands for all members. */
const large: Large = { paths: { "*": {} }, components: { schemas: {} } };

/** The text of a document as JSON, in steps. */
export function* jsonText(document: JsonObject): Generator<void, string> {
  return `${yield* jsonMembers(document, large, "\n")}\n`;
}

/** @param line the end of a line, and the indent of those below */
function* jsonMembers(of: JsonObject, steps: Large, line: string): Generator<void, string> {
  const inner = `${line}  `;
  const parts: string[] = [];
  for (const [name, value] of Object.entries(of)) {
    const within = withinOf(steps, name, value);
    const text =
      within === undefined
        ? textOf(value).replaceAll("\n", inner)
        : yield* jsonMembers(within.members, within.steps, inner);
    parts.push(`${inner}${JSON.stringify(name)}: ${text}`);
    yield;
  }
  return `{${parts.join(",")}${line}}`;
}

/** The text of a document as YAML, in steps. */
export function* yamlDocument(document: JsonObject): Generator<void, string> {
  return `${yield* yamlMembers(document, large, "")}\n`;
}

function* yamlMembers(of: JsonObject, steps: Large, indent: string): Generator<void, string> {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(of)) {
    const within = withinOf(steps, name, value);
    if (within === undefined) parts.push(yamlMember(name, JSON.parse(textOf(value)) as JsonValue, indent)); // It was one.
    else {
      const head = yamlMember(name, {}, indent).replace(/ \{\}$/, "");
      parts.push(`${head}\n${yield* yamlMembers(within.members, within.steps, `${indent}  `)}`);
    }
    yield;
  }
  return parts.join("\n");
}

/** A member that is a large part; undefined for others, and for one without members. */
function withinOf(
  steps: Large,
  name: string,
  value: unknown,
): { readonly members: JsonObject; readonly steps: Large } | undefined {
  const inner = Object.hasOwn(steps, name) ? steps[name] : steps["*"];
  if (inner === undefined || value instanceof LateText || !isMembers(value)) return undefined;
  return Object.keys(value).length === 0 ? undefined : { members: value as JsonObject, steps: inner }; // A document is JSON.
}

function textOf(value: unknown): string {
  return value instanceof LateText ? value.text : JSON.stringify(value, null, 2);
}
