import type { DescMethod } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { annotatedBindings } from "../http-rule/http-rule.ts";
import { parsePathTemplate, type PathTemplate, type TemplateSegment } from "../http-rule/path-template.ts";

/** The path of the first rule of an rpc; undefined without one, and for one that cannot be served. */
export function templateOf(method: DescMethod): PathTemplate | undefined {
  try {
    const [first] = annotatedBindings(method);
    return first === undefined ? undefined : parsePathTemplate(first.template);
  } catch {
    return undefined;
  }
}

/** The fields that a path binds, in proto names with dots. */
export function boundNames(template: PathTemplate | undefined): ReadonlySet<string> {
  return new Set((template?.variables ?? []).map(({ fieldPath }) => fieldPath.join(".")));
}

/** Gives the fields that a path binds texts that fit it, where they have others. */
export function bindPath(message: ReflectMessage, template: PathTemplate): void {
  for (const { fieldPath, start, end } of template.variables) {
    let inside: ReflectMessage | undefined = message;
    for (const name of fieldPath.slice(0, -1)) inside = inner(inside, name);
    const field = inside?.fields.find(({ name }) => name === fieldPath.at(-1));
    if (inside === undefined || field?.fieldKind !== "scalar" || field.scalar !== ScalarType.STRING) continue;
    const segments = template.segments.slice(start, end);
    const text: unknown = inside.get(field);
    if (typeof text !== "string" || !fits(text, segments)) inside.set(field, textOf(segments));
  }
}

function inner(message: ReflectMessage | undefined, name: string): ReflectMessage | undefined {
  const field = message?.fields.find((one) => one.name === name);
  if (message === undefined || field?.fieldKind !== "message") return undefined;
  const value = message.get(field);
  if (!isReflectMessage(value)) return undefined;
  if (!message.isSet(field)) message.set(field, value);
  return value;
}

/** Whether a text is one that the segments of a variable match, without escapes. */
function fits(text: string, segments: readonly TemplateSegment[]): boolean {
  const parts = text.split("/");
  if (parts.some((part) => part === "" || part === "." || part === "..")) return false;
  const rest = segments.findIndex(({ kind }) => kind === "rest");
  if (rest < 0 && parts.length !== segments.length) return false;
  if (rest >= 0 && parts.length < segments.length - 1) return false;
  return segments.every((segment, at) => {
    const place = rest >= 0 && at > rest ? parts.length - (segments.length - at) : at;
    return segment.kind !== "literal" || segment.text === parts[place];
  });
}

function textOf(segments: readonly TemplateSegment[]): string {
  return segments.map((segment) => (segment.kind === "literal" ? segment.text : "1")).join("/");
}
