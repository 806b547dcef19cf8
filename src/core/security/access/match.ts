import {
  ScalarType,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import { isReflectMessage, reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { nearestName } from "../../errors/nearest-name.ts";
import { SetupError } from "../../errors/setup-error.ts";
import type { Principal } from "../principal.ts";
import { isConstant, type Rule } from "./rule.ts";

/** Whether a request fits its caller. */
export type Match = (request: Message, who: Principal | undefined) => boolean;

/** Fields from the request inwards. */
type Path = readonly [DescField, ...DescField[]];

/**
 * Compiles `match` of a rule for the requests of an rpc; undefined without any. Every value on a path has to fit: all
 * elements of lists, all values of maps. What is not set does not fit.
 *
 * @throws SetupError naming a path that is none
 */
export function compileMatch({ match, place }: Rule, input: DescMessage): Match | undefined {
  if (match.length === 0) return undefined;
  const tests = match.map(([path, value]) => {
    const fields = readPath(path, input, place);
    const expected = isConstant(value) ? constantly(value.slice(1, -1)) : claimOf(value);
    return (request: ReflectMessage, who: Principal | undefined): boolean => {
      const allowed = expected(who);
      return allowed !== undefined && everyValue(request, fields, 0, (text) => allowed.includes(text));
    };
  });
  return (request, who) => {
    const message = reflect(input, request);
    return tests.every((test) => test(message, who));
  };
}

/**
 * The fields of a path of proto names.
 *
 * @param place of the path, for errors
 * @throws SetupError naming a field that is not there, or that has no text to compare
 */
export function readPath(path: string, input: DescMessage, place: string): Path {
  const fields: DescField[] = [];
  let message: DescMessage | undefined = input;
  for (const name of path.split(".")) {
    const field: DescField | undefined = message?.fields.find((one) => one.name === name);
    if (message === undefined || field === undefined) throw unknownField(path, name, message ?? input, place);
    fields.push(field);
    message = messageOf(field);
  }
  const [first, ...rest] = fields;
  const last = fields.at(-1);
  if (first === undefined || last === undefined || !isComparable(last)) {
    throw new SetupError(`${place}: the field ${path} of ${input.typeName} has no text to compare`);
  }
  return [first, ...rest];
}

/** Reads the texts at the end of a path in requests; `***` for a field with `debug_redact` on the way. */
export function textReader(
  path: string,
  input: DescMessage,
  place: string,
): (request: Message) => readonly string[] {
  const fields = readPath(path, input, place);
  if (fields.some(({ proto }) => proto.options?.debugRedact === true)) return () => ["***"];
  return (request) => {
    const texts: string[] = [];
    everyValue(reflect(input, request), fields, 0, (text) => texts.push(text) > 0);
    return texts;
  };
}

/** The texts of a claim, of which a field must be one; undefined for a claim that is missing or has none. */
function claimOf(name: string): (who: Principal | undefined) => readonly string[] | undefined {
  return (who) => {
    const value = who === undefined ? undefined : lookUp(who.claims, name);
    if (value === undefined) return undefined;
    const texts = (Array.isArray(value) ? value : [value]).map(textOfClaim);
    const known = texts.filter((text) => text !== undefined && text !== "") as string[]; // As filtered.
    return known.length === 0 ? undefined : known;
  };
}

function constantly(text: string): () => readonly string[] {
  const only = [text];
  return () => only;
}

/** A claim by its name, or by the path to it: `realm_access.tenant`. */
function lookUp(claims: Principal["claims"], name: string): JsonValue | undefined {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: JsonValue | undefined = claims;
  for (const part of name.split(".")) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, part) ? (value as Readonly<Record<string, JsonValue>>)[part] : undefined; // No list.
  }
  return value;
}

function textOfClaim(value: JsonValue): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/** Whether all values at the end of a path pass. */
function everyValue(
  message: ReflectMessage,
  path: Path,
  at: number,
  test: (text: string) => boolean,
): boolean {
  const field = path[at];
  if (field === undefined) return false;
  const next = (value: unknown): boolean => {
    if (at < path.length - 1) return isReflectMessage(value) && everyValue(value, path, at + 1, test);
    return test(textOf(value, field));
  };
  switch (field.fieldKind) {
    case "list":
      return [...message.get(field)].every(next);
    case "map":
      return [...message.get(field).values()].every(next);
    case "message":
      return message.isSet(field) && next(message.get(field));
    default:
      return next(message.get(field));
  }
}

function textOf(value: unknown, field: DescField): string {
  if (isReflectMessage(value)) {
    const [inner] = value.fields; // A wrapper has one.
    return inner === undefined ? "" : scalarText(value.get(inner));
  }
  const { enum: values } = field as { readonly enum?: { readonly values: readonly EnumValue[] } }; // Of enum fields.
  return values?.values.find(({ number }) => number === value)?.name ?? scalarText(value);
}

function scalarText(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "bigint" || typeof value === "boolean"
    ? `${value}`
    : "";
}

interface EnumValue {
  readonly number: number;
  readonly name: string;
}

function messageOf(field: DescField): DescMessage | undefined {
  return field.message;
}

function isComparable(field: DescField): boolean {
  if (field.message !== undefined) return isWrapperDesc(field.message) && !isBytes(field.message.fields[0]);
  return !isBytes(field);
}

function isBytes(field: DescField | undefined): boolean {
  return field?.scalar === ScalarType.BYTES;
}

function unknownField(path: string, name: string, message: DescMessage, place: string): SetupError {
  const near = nearestName(
    name,
    message.fields.map((field) => field.name),
  );
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new SetupError(
    `${place}: ${message.typeName} has no field ${JSON.stringify(name)} of ${JSON.stringify(path)}${hint}`,
  );
}
