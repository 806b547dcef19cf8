import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { isMembers } from "../../../core/codec/json-members.ts";
import { yamlMember } from "./yaml-text.ts";

/** Members whose own members are many: each of them is a step. */
const large: ReadonlySet<string> = new Set(["paths", "components", "components.schemas"]);

/** The text of a document as JSON, in steps. */
export function* jsonText(document: JsonObject): Generator<void, string> {
  return `${yield* jsonMembers(document, "", "")}\n`;
}

function* jsonMembers(of: JsonObject, path: string, indent: string): Generator<void, string> {
  const inner = `${indent}  `;
  const parts: string[] = [];
  for (const [name, value] of Object.entries(of)) {
    const below = path === "" ? name : `${path}.${name}`;
    const text =
      large.has(below) && Object.keys(objectOf(value)).length > 0
        ? yield* jsonMembers(objectOf(value), below, inner)
        : JSON.stringify(value, null, 2).replaceAll("\n", `\n${inner}`);
    parts.push(`${inner}${JSON.stringify(name)}: ${text}`);
    yield;
  }
  return `{\n${parts.join(",\n")}\n${indent}}`;
}

/** The text of a document as YAML, in steps. */
export function* yamlDocument(document: JsonObject): Generator<void, string> {
  return `${yield* yamlMembers(document, "", "")}\n`;
}

function* yamlMembers(of: JsonObject, path: string, indent: string): Generator<void, string> {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(of)) {
    const below = path === "" ? name : `${path}.${name}`;
    if (large.has(below) && Object.keys(objectOf(value)).length > 0) {
      const members = yield* yamlMembers(objectOf(value), below, `${indent}  `);
      parts.push(`${indent}${name}:\n${members}`);
    } else parts.push(yamlMember(name, plain(value), indent));
    yield;
  }
  return parts.join("\n");
}

/** With the texts of references. */
function plain(value: JsonValue): JsonValue {
  return JSON.parse(JSON.stringify(value)) as JsonValue; // It was one before.
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isMembers(value) ? value : {};
}
