import { type DescField, type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";
import { FeatureSet_FieldPresence } from "@bufbuild/protobuf/wkt";
import { invalidArgument } from "../errors/errors.ts";
import { type Fields, fieldsOf, oneofOf } from "./field-shape.ts";

/** Paths in proto names, such as `items[2].id`, of required fields that a message lacks; at most 100 of them. */
export type MissingFields = (message: Message) => string[];

/** How many missing fields are named at most. */
const namedFields = 100;

/** Longest key of a map that a path repeats, in characters. */
const keyLength = 40;

/** Fields of a type that matter here: required ones, and messages in which there may be some. */
interface Plan {
  readonly required: readonly DescField[];
  readonly messages: readonly (DescField & { readonly message: DescMessage })[];
}

const concerned = new WeakMap<DescMessage, boolean>();
const plans = new WeakMap<DescMessage, Plan>();

/** The search for required fields (proto2, `LEGACY_REQUIRED`) in messages of a type; undefined where there are none. */
export function missingFields(desc: DescMessage): MissingFields | undefined {
  if (!isConcerned(desc)) return undefined;
  return (message) => {
    const found: string[] = [];
    collect(desc, message, "", found);
    return found;
  };
}

/**
 * The check that requests of a type have their required fields, which throws INVALID_ARGUMENT with a violation for
 * each that is missing: such a message cannot be sent on. Undefined for types without such fields.
 */
export function requiredCheck(desc: DescMessage): ((message: Message) => void) | undefined {
  const find = missingFields(desc);
  if (find === undefined) return undefined;
  return (message) => {
    const fields = find(message);
    if (fields.length > 0) throw missing(fields);
  };
}

/** The refusal of a message that lacks required fields; there is at least one. */
export function missing(fields: readonly string[]): Error {
  const description = "the field is required";
  const more = fields.length > 1 ? ` (and ${fields.length - 1} more)` : "";
  return invalidArgument(
    `${fields[0]}: ${description}${more}`,
    fields.map((field) => ({ field, description })),
  );
}

/** Whether a type, or a type inside of it, has required fields. */
function isConcerned(desc: DescMessage): boolean {
  const known = concerned.get(desc);
  if (known !== undefined) return known;
  const seen = new Set([desc]);
  for (const type of seen) {
    if (concerned.get(type) === true || type.fields.some(isRequired)) {
      concerned.set(desc, true);
      return true;
    }
    for (const { message } of type.fields) {
      if (message !== undefined && concerned.get(message) !== false) seen.add(message);
    }
  }
  for (const type of seen) concerned.set(type, false);
  return false;
}

/** Whether a field of proto2 (or of editions with `LEGACY_REQUIRED`) is required. */
export function isRequired({ presence }: DescField): boolean {
  return presence === FeatureSet_FieldPresence.LEGACY_REQUIRED;
}

function planOf(desc: DescMessage): Plan {
  let plan = plans.get(desc);
  if (plan === undefined) {
    plan = { required: desc.fields.filter(isRequired), messages: desc.fields.filter(holdsConcerned) };
    plans.set(desc, plan);
  }
  return plan;
}

function holdsConcerned(field: DescField): field is Plan["messages"][number] {
  return field.message !== undefined && isConcerned(field.message);
}

function collect(desc: DescMessage, message: Message, prefix: string, found: string[]): void {
  const { required, messages } = planOf(desc);
  for (const field of required) {
    if (found.length >= namedFields) return;
    if (!isFieldSet(message, field)) found.push(prefix + field.name);
  }
  const fields = fieldsOf(message);
  for (const field of messages) {
    for (const [step, value] of valuesOf(field, fields)) {
      if (found.length >= namedFields) return;
      collect(field.message, value, `${prefix}${field.name}${step}.`, found);
    }
  }
}

/** The messages that a field holds, each with the step to it behind the field's name. */
function* valuesOf(field: DescField, fields: Fields): Generator<readonly [string, Message]> {
  // What the fields hold follows from their descriptors.
  if (field.fieldKind === "list") {
    for (const [index, value] of (fields[field.localName] as Message[]).entries())
      yield [`[${index}]`, value];
  } else if (field.fieldKind === "map") {
    for (const [key, value] of Object.entries(fields[field.localName] as Record<string, Message>)) {
      const short = key.length <= keyLength ? key : `${key.slice(0, keyLength)}…`;
      yield [`[${JSON.stringify(short)}]`, value];
    }
  } else {
    const oneof = field.oneof && oneofOf(fields, field.oneof.localName);
    const value =
      oneof === undefined
        ? fields[field.localName]
        : oneof.case === field.localName
          ? oneof.value
          : undefined;
    if (value !== undefined) yield ["", value as Message];
  }
}
