import type { JsonValue } from "@bufbuild/protobuf";

/** Texts that no reader of YAML takes for anything else, in any of its versions. */
const plain = /^[A-Za-z$_][\w $./-]*(?<! )$/;
const words = /^(?:true|false|null|yes|no|on|off|y|n)$/i;
/** Texts of several lines that a block scalar keeps as they are. */
const block = /^[!-~\u00a1-\u167f](?:[\t -~\u00a1-\u167f\n]*[!-~\u00a1-\u167f])?$/;

/** A value of JSON as a YAML document (1.2, which contains JSON): what is no plain text is quoted as in JSON. */
export function yamlText(value: JsonValue): string {
  return `${below(value, "").replace(/^\n/, "")}\n`;
}

/** A member of an object as lines of YAML. */
export function yamlMember(name: string, value: JsonValue, indent: string): string {
  return `${indent}${nameOf(name)}:${below(value, `${indent}  `)}`;
}

/** What stands behind `name:` or `-`: a scalar on the same line, else lines below it. */
function below(value: JsonValue, indent: string): string {
  if (typeof value === "string") return ` ${textOf(value, indent)}`;
  if (typeof value !== "object" || value === null) return ` ${JSON.stringify(value)}`;
  if (Array.isArray(value)) {
    if (value.length === 0) return " []";
    return value.map((one) => `\n${indent}-${inList(one, indent)}`).join("");
  }
  const members = Object.entries(value);
  if (members.length === 0) return " {}";
  return members.map(([name, one]) => `\n${yamlMember(name, one, indent)}`).join("");
}

/** A member of a list: the first line of an object stands behind the dash. */
function inList(value: JsonValue, indent: string): string {
  const inner = `${indent}  `;
  const text = below(value, inner);
  return text.startsWith("\n") ? ` ${text.slice(inner.length + 1)}` : text;
}

function nameOf(name: string): string {
  return isPlain(name) ? name : JSON.stringify(name);
}

function textOf(text: string, indent: string): string {
  if (isPlain(text)) return text;
  if (!text.includes("\n") || !block.test(text) || indent === "") return JSON.stringify(text);
  return `|-\n${text.replaceAll(/^(?=.)/gm, indent)}`;
}

function isPlain(text: string): boolean {
  return plain.test(text) && !words.test(text);
}
