import { type DescField, ScalarType, type JsonObject } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "../errors/errors.ts";
import { isDotted, percentDecode } from "../http-rule/percent.ts";
import type { TemplateSegment } from "../http-rule/path-template.ts";
import type { Route } from "../http-rule/route.ts";
import { jsonAt } from "./json-at.ts";

/**
 * The path of a route with the values of a request in place of its variables, as google/api/http.proto has it: the
 * value of a variable of one segment is one segment, whatever is in it; in others a `/` separates segments.
 *
 * @param request the whole request as JSON
 * @param violations gets a reason for each variable whose value the path cannot hold
 * @returns undefined where there is such a variable
 */
export function writePath(
  { template, variables }: Route,
  request: JsonObject,
  violations: FieldViolation[],
): string | undefined {
  const { segments, verb } = template;
  let path = "";
  let at = 0;
  let isWhole = true;
  for (const [index, { name, fields, multiSegment }] of variables.entries()) {
    const { start, end } = template.variables[index] ?? { start: 0, end: 0 };
    for (; at < start; at++) path += unbound(segments[at]);
    at = end;
    const value = textAt(fields, request);
    const obstacle = whyNot(value);
    const written =
      obstacle === undefined
        ? encode(segments.slice(start, end), multiSegment ? value.split("/") : [value])
        : undefined;
    if (written === undefined) {
      violations.push({ field: name, description: obstacle ?? `does not fit the path ${template.text}` });
      isWhole = false;
    } else path += written;
  }
  for (; at < segments.length; at++) path += unbound(segments[at]);
  if (!isWhole) return undefined;
  return (path === "" ? "/" : path) + (verb === "" ? "" : `:${verb}`);
}

/** A segment that no variable binds, with its slash. Any text is right for `*`, none for `**`. */
function unbound(segment: TemplateSegment | undefined): string {
  if (segment?.kind === "literal") return `/${segment.text}`;
  return segment?.kind === "any" ? "/-" : "";
}

/** Why a value can be in no path, or undefined. */
function whyNot(value: string): string | undefined {
  if (value === "") return "is part of the path and has no value";
  // Encoding does not save them: a URL parser takes `%2e%2e` for `..` too.
  if (isDotted(value)) return `"." and ".." can not be segments of a path`;
  if (value.includes("\0")) return "can not be in a path, with its NUL"; // Servers refuse it.
  return value.isWellFormed() ? undefined : "is no valid text";
}

/** Given segments as the pattern of a variable has them, with slashes; undefined where they do not match it. */
function encode(pattern: readonly TemplateSegment[], given: readonly string[]): string | undefined {
  const rest = pattern.findIndex(({ kind }) => kind === "rest");
  const more = given.length - pattern.length;
  if (rest === -1 ? more !== 0 : more < -1) return undefined;
  let path = "";
  for (const [index, text] of given.entries()) {
    const isRest = rest !== -1 && index >= rest && index <= rest + more;
    const segment = isRest ? undefined : pattern[index > rest && rest !== -1 ? index - more : index];
    if (segment?.kind === "literal") {
      if (percentDecode(segment.text) !== text) return undefined;
      path += `/${segment.text}`;
    } else {
      if (segment !== undefined && text === "") return undefined;
      path += `/${encodeSegment(text)}`;
    }
  }
  return path;
}

/** Text in which only unreserved characters stay as they are (RFC 3986, section 2.3). */
function encodeSegment(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}

/** The text of a field for a path; empty where it has no value. */
function textAt(fields: readonly DescField[], request: JsonObject): string {
  const value = jsonAt(fields, request);
  if (value !== undefined) return typeof value === "string" ? value : JSON.stringify(value);
  const leaf = fields.at(-1);
  // A field without presence has its default where its message is there.
  const isThere = fields.length === 1 || jsonAt(fields.slice(0, -1), request) !== undefined;
  return isThere && leaf?.presence === FeatureSet_FieldPresence.IMPLICIT ? defaultText(leaf) : "";
}

function defaultText(field: DescField): string {
  if (field.fieldKind === "enum") return String(field.enum.values[0]?.name ?? 0);
  if (field.fieldKind !== "scalar") return "";
  switch (field.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return "";
    case ScalarType.BOOL:
      return "false";
    default:
      return "0";
  }
}
