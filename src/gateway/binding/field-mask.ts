import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";
import { AnySchema, type FieldMask, FieldMaskSchema } from "@bufbuild/protobuf/wkt";
import { type FieldViolation, invalidArgument } from "../../core/errors/errors.ts";
import { fieldsByName, getField, pathName, setField } from "./field-path.ts";
import { hasTextForm } from "./field-value.ts";
import { isMembers, type JsonMembers, memberOf, parseMembers } from "../../core/codec/json-members.ts";
import type { Route } from "../../core/http-rule/route.ts";

/**
 * Derives the field mask of a partial update from the members of its body, so that a plain PATCH changes only the
 * fields that its body contains. A mask that the client sends always wins.
 *
 * A member with `null` clears its field, so the mask contains it. An empty object is in the mask as the path of its
 * message. A member that was dropped because of an unknown enum name is not in the mask. Paths end at repeated fields,
 * maps, well-known types and `Any`.
 */
export interface MaskDeriver {
  /** The field of the request that holds the mask. */
  readonly field: DescField;
  /** Whether the client sent a mask. */
  isGiven(message: Message): boolean;
  /**
   * Sets the mask in `message` unless the client did.
   *
   * Throws INVALID_ARGUMENT if every member of the body is unknown: the mask would be empty, and services interpret an
   * empty mask as "replace everything".
   *
   * @param body the JSON text of the body, already read into `message`
   */
  derive(body: string, message: Message): void;
}

/**
 * The mask deriver of a route; undefined if the rule is no partial update. A partial update is a PATCH, its request has
 * exactly one `google.protobuf.FieldMask`, and its body is a message: a named field, or, if the body is the whole
 * request, the only other message in it.
 */
export function compileMaskDeriver(
  route: Pick<Route, "method" | "httpMethod" | "bodyField">,
): MaskDeriver | undefined {
  const { bodyField } = route;
  if (route.httpMethod !== "PATCH" || bodyField === undefined) return undefined;
  const { fields } = route.method.input;
  const masks = fields.filter((field) => field.fieldKind === "message" && isMask(field.message));
  const [field] = masks;
  if (field === undefined || masks.length > 1) return undefined;
  if (bodyField !== "*") {
    const resource = bodyField.at(-1);
    if (resource === undefined || !isPlainMessage(resource)) return undefined;
    const prefix = `${pathName(bodyField)}.`;
    return new BodyMask(field, (body) => membersOf(body, resource.message, prefix));
  }
  const siblings = fields.filter(isPlainMessage);
  const [resource] = siblings;
  if (resource === undefined || siblings.length > 1) return undefined;
  return new BodyMask(field, (body) => siblingMembers(body, route.method.input, resource));
}

/** The members of a body as paths in the updated message. */
interface BodyMembers {
  readonly paths: string[];
  /** Paths in the request of members that are unknown, or were dropped because of an unknown enum name. */
  readonly unknown: FieldViolation[];
}

class BodyMask implements MaskDeriver {
  readonly field: DescField;
  readonly #read: (body: unknown) => BodyMembers;

  constructor(field: DescField, read: (body: unknown) => BodyMembers) {
    this.field = field;
    this.#read = read;
  }

  isGiven(message: Message): boolean {
    const mask = getField(message, this.field) as FieldMask | undefined; // `compileMaskDeriver` checked the type.
    return mask !== undefined && mask.paths.length > 0;
  }

  derive(body: string, message: Message): void {
    if (this.isGiven(message)) return;
    const { paths, unknown } = this.#read(parseMembers(body));
    if (paths.length > 0) setField(message, this.field, create(FieldMaskSchema, { paths }));
    else if (unknown.length > 0) throw nothingKnown(unknown);
  }
}

function membersOf(body: unknown, message: DescMessage, prefix: string): BodyMembers {
  const found: BodyMembers = { paths: [], unknown: [] };
  if (isMembers(body)) collect(body, message, "", { found, prefix });
  return found;
}

/**
 * For a body that is the whole request: the members of the updated message, or, if the body has no known member at all,
 * the unknown members.
 */
function siblingMembers(
  body: unknown,
  request: DescMessage,
  resource: DescField & { message: DescMessage },
): BodyMembers {
  if (!isMembers(body)) return { paths: [], unknown: [] };
  const member = memberOf(body, resource);
  if (member !== undefined) return membersOf(member, resource.message, `${resource.name}.`);
  const names = Object.keys(body);
  const known = fieldsByName(request);
  return { paths: [], unknown: names.some((name) => known.has(name)) ? [] : names.map(noSuchField) };
}

/** Adds the paths of all members. `at` is the path to `members`, ending with a dot. */
function collect(
  members: JsonMembers,
  message: DescMessage,
  at: string,
  into: { readonly found: BodyMembers; readonly prefix: string },
): void {
  const fields = fieldsByName(message);
  for (const [name, value] of Object.entries(members)) {
    const field = fields.get(name);
    if (field === undefined) into.found.unknown.push(noSuchField(`${into.prefix}${at}${name}`));
    else if (isDropped(field, value)) {
      into.found.unknown.push(violation(`${into.prefix}${at}${field.name}`, "the enum has no such name"));
    } else if (isPlainMessage(field) && isMembers(value) && Object.keys(value).length > 0) {
      collect(value, field.message, `${at}${field.name}.`, into);
    } else into.found.paths.push(`${at}${field.name}`);
  }
}

/** Whether the reader has dropped a member because its enum has no value of this name. */
function isDropped(field: DescField, value: unknown): boolean {
  if (field.fieldKind !== "enum" || typeof value !== "string") return false;
  return !field.enum.values.some(({ name, jsonName }) => name === value || jsonName === value);
}

function noSuchField(path: string): FieldViolation {
  return violation(path, "the message has no such field");
}

function violation(path: string, description: string): FieldViolation {
  return { field: path.slice(0, 200).toWellFormed(), description };
}

function nothingKnown(unknown: readonly FieldViolation[]): Error {
  return invalidArgument(`the update changes nothing that is known: ${unknown[0]?.field ?? ""}`, unknown);
}

function isMask(message: DescMessage): boolean {
  return message.typeName === FieldMaskSchema.typeName;
}

/** Whether a field is a singular message whose fields a mask can name: no well-known type and no `Any`. */
function isPlainMessage(
  field: DescField,
): field is DescField & { fieldKind: "message"; message: DescMessage } {
  return (
    field.fieldKind === "message" &&
    field.message.typeName !== AnySchema.typeName &&
    !hasTextForm(field.message)
  );
}
