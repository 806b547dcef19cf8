import { isUtf8 } from "node:buffer";
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { isDelimited } from "./field-shape.ts";
import { missingFields } from "./required-fields.ts";
import { wireType } from "./scalar-kinds.ts";
import { asBuffer, deepest } from "./scratch.ts";

/** What the records of a field look like. */
interface FieldPlan {
  /** The wire type of one value. */
  readonly type: number;
  /** Whether several values may stand in one record. */
  readonly packable: boolean;
  readonly isText: boolean;
  /** The type of a message or of the entries of a map. */
  readonly message: MessagePlan | undefined;
}

/** The fields of a message by their numbers; undefined for those whose records have to be decoded. */
type MessagePlan = Map<number, FieldPlan | undefined>;

const plans = new WeakMap<DescMessage, MessagePlan>();

/**
 * Compiles the check whether bytes are a message of a type without any doubt, so that they can be passed on as they
 * are. It is false for bytes that the decoder refuses, and for a few that it accepts: groups, values of another wire
 * type, strings that are not UTF-8, and types with required fields.
 */
export function binaryCheck(desc: DescMessage): (bytes: Uint8Array) => boolean {
  if (missingFields(desc) !== undefined) return () => false;
  let plan: MessagePlan | undefined;
  return (bytes) => isMessage(asBuffer(bytes), 0, bytes.length, (plan ??= planOf(desc)), 1);
}

function planOf(desc: DescMessage): MessagePlan {
  let plan = plans.get(desc);
  if (plan === undefined) {
    plans.set(desc, (plan = new Map())); // Before its fields, since types may be recursive.
    for (const field of desc.fields) plan.set(field.number, fieldPlan(field));
  }
  return plan;
}

function fieldPlan(field: DescField): FieldPlan | undefined {
  if (isDelimited(field)) return undefined;
  const { message, scalar = ScalarType.INT32 } = field;
  if (field.fieldKind === "map") {
    const value = message === undefined ? scalarPlan(scalar, false) : messagePlan(planOf(message));
    return messagePlan(
      new Map([
        [1, scalarPlan(field.mapKey, false)],
        [2, value],
      ]),
    );
  }
  if (message !== undefined) return messagePlan(planOf(message));
  return scalarPlan(scalar, field.fieldKind === "list");
}

function messagePlan(message: MessagePlan): FieldPlan {
  return { type: 2, packable: false, isText: false, message };
}

function scalarPlan(scalar: ScalarType, repeated: boolean): FieldPlan {
  const type = wireType(scalar);
  return { type, packable: repeated && type !== 2, isText: scalar === ScalarType.STRING, message: undefined };
}

function isMessage(bytes: Buffer, start: number, end: number, plan: MessagePlan, depth: number): boolean {
  if (depth > deepest) return false;
  let at = start;
  while (at < end) {
    let tag = bytes[at++] ?? 0;
    if (tag > 0x7f) {
      const next = bytes[at++] ?? 0x80;
      if (next > 0x7f) return false; // Field numbers above 2047 are rare.
      tag = (tag & 0x7f) | (next << 7);
    }
    const number = tag >>> 3;
    if (number === 0) return false;
    const type = tag & 7;
    const from = type === 2 ? afterLength(bytes, at, end) : at;
    const to = type === 2 ? from + lengthBefore(bytes, at, from) : afterValue(bytes, at, end, type);
    if (!(from <= end && to <= end)) return false;
    if (plan.has(number) && !isValue(bytes, from, to, type, plan.get(number), depth)) return false;
    at = to;
  }
  return true;
}

function isValue(
  bytes: Buffer,
  from: number,
  to: number,
  type: number,
  plan: FieldPlan | undefined,
  depth: number,
): boolean {
  if (plan === undefined) return false;
  if (type !== plan.type) return type === 2 && plan.packable && isPacked(bytes, from, to, plan.type);
  if (plan.message !== undefined) return isMessage(bytes, from, to, plan.message, depth + 1);
  return !plan.isText || isText(bytes, from, to);
}

function isPacked(bytes: Buffer, from: number, to: number, type: number): boolean {
  let at = from;
  while (at < to) at = afterValue(bytes, at, to, type);
  return at === to;
}

function isText(bytes: Buffer, from: number, to: number): boolean {
  for (let at = from; at < to; at++) {
    if ((bytes[at] ?? 0) > 0x7f) return isUtf8(bytes.subarray(at, to));
  }
  return true;
}

/** Where the value of a fixed size or the varint at `at` ends; Infinity where it does not. */
function afterValue(bytes: Buffer, at: number, end: number, type: number): number {
  switch (type) {
    case 0:
      return afterVarint(bytes, at, end, 10);
    case 1:
      return at + 8;
    case 5:
      return at + 4;
    default:
      return Infinity;
  }
}

function afterLength(bytes: Buffer, at: number, end: number): number {
  return afterVarint(bytes, at, end, 4);
}

function afterVarint(bytes: Buffer, start: number, end: number, most: number): number {
  const last = Math.min(start + most, end);
  for (let at = start; at < last; at++) if ((bytes[at] ?? 0) < 0x80) return at + 1;
  return Infinity;
}

/** The varint between `at` and `end`, of at most four bytes. */
function lengthBefore(bytes: Buffer, at: number, end: number): number {
  if (end === Infinity) return Infinity;
  let length = 0;
  for (let index = end - 1; index >= at; index--) length = (length << 7) | ((bytes[index] ?? 0) & 0x7f);
  return length;
}
