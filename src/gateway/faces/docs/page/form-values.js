/** Values of forms: where one is, and what it begins with. */
import { emptyObject, memberOf, setMember } from "./json-text.js";
import { namesOf } from "./model.js";
import { formOf, unwrapped } from "./well-known.js";

/** @import { Json, JsonArray, JsonObject } from "./json-text.js" */
/** @import { Field, Model } from "./model.js" */

/**
 * The place of a value: a member, an item, or an entry.
 *
 * @typedef {object} Slot
 * @property {() => Json | undefined} get
 * @property {(value: Json | undefined) => void} set undefined for unset
 */

/**
 * The place of a field in a message.
 *
 * @param {JsonObject} object
 * @param {Field} field
 * @param {() => void} changed
 * @returns {Slot}
 */
export function memberSlot(object, field, changed) {
  const names = namesOf(field);
  return {
    get() {
      const value = memberOf(object, ...names);
      return value !== undefined && isNull(value) && field.type !== "google.protobuf.Value"
        ? undefined
        : value;
    },
    set(value) {
      setMember(object, names, value);
      changed();
    },
  };
}

/**
 * The place of an item in a list.
 *
 * @param {JsonArray} array
 * @param {number} at
 * @param {() => void} changed
 * @returns {Slot}
 */
export function itemSlot(array, at, changed) {
  return {
    get: () => array.items[at],
    set(value) {
      if (value !== undefined) array.items[at] = value;
      changed();
    },
  };
}

/**
 * The place of a value in a map.
 *
 * @param {JsonObject} object
 * @param {number} at
 * @param {() => void} changed
 * @returns {Slot}
 */
export function entrySlot(object, at, changed) {
  return {
    get: () => object.members[at]?.[1],
    set(value) {
      const entry = object.members[at];
      if (entry !== undefined && value !== undefined) entry[1] = value;
      changed();
    },
  };
}

/**
 * What a value of a type begins with when it is added.
 *
 * @param {Model} model
 * @param {string} type
 * @returns {Json}
 */
export function firstValue(model, type) {
  switch (formOf(model, type)) {
    case "message":
    case "empty":
    case "any":
    case "json":
      return emptyObject();
    case "timestamp":
      return { kind: "text", text: new Date().toISOString() };
    case "duration":
      return { kind: "text", text: "0s" };
    case "mask":
      return { kind: "text", text: "" };
    case "enum":
      return { kind: "text", text: enumNames(model, type)[0] ?? "" };
    default:
      return firstScalar(unwrapped(type));
  }
}

/**
 * @param {string} scalar
 * @returns {Json}
 */
function firstScalar(scalar) {
  if (scalar === "bool") return { kind: "literal", text: "false" };
  if (scalar === "string" || scalar === "bytes") return { kind: "text", text: "" };
  return is64(scalar) ? { kind: "text", text: "0" } : { kind: "literal", text: "0" };
}

/**
 * @param {Model} model
 * @param {string} type
 */
export function enumNames(model, type) {
  const known = model.types.get(type);
  return known?.kind === "enum" ? known.values.map(({ name }) => name) : [];
}

/** @param {string} scalar */
export function is64(scalar) {
  return scalar.endsWith("64");
}

/** @param {string} scalar */
export function isInteger(scalar) {
  return /(?:int|fixed)(?:32|64)$/.test(scalar);
}

/**
 * The value that a text in an input stands for.
 *
 * @param {string} scalar
 * @param {string} text
 * @returns {Json}
 */
export function scalarOf(scalar, text) {
  const trimmed = text.trim();
  if (scalar === "string" || scalar === "bytes") return { kind: "text", text };
  if (is64(scalar)) return { kind: "text", text: trimmed };
  const pattern = isInteger(scalar) ? /^-?(?:0|[1-9]\d*)$/ : /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
  // What is no number goes out as a text: the server says what is wrong with it.
  return pattern.test(trimmed) ? { kind: "literal", text: trimmed } : { kind: "text", text: trimmed };
}

/**
 * What is wrong with a text in an input; undefined if nothing is.
 *
 * @param {string} scalar
 * @param {string} text
 */
export function scalarProblem(scalar, text) {
  const trimmed = text.trim();
  if (trimmed === "" || scalar === "string" || scalar === "bytes" || scalar === "bool") return undefined;
  if (!isInteger(scalar)) {
    const isNumber = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|^(?:NaN|-?Infinity)$/.test(trimmed);
    return isNumber ? undefined : "expected a number";
  }
  if (!/^-?\d+$/.test(trimmed)) return "expected a whole number";
  const value = BigInt(trimmed);
  const isUnsigned = scalar.startsWith("u") || scalar.startsWith("fixed");
  const bits = is64(scalar) ? 64n : 32n;
  const low = isUnsigned ? 0n : -(2n ** (bits - 1n));
  const high = isUnsigned ? 2n ** bits - 1n : 2n ** (bits - 1n) - 1n;
  return value < low || value > high ? `expected ${low} to ${high}` : undefined;
}

/**
 * The text of a value in an input.
 *
 * @param {Json | undefined} value
 */
export function inputText(value) {
  return value === undefined || value.kind === "object" || value.kind === "array" ? "" : value.text;
}

/** @param {Json} value */
function isNull(value) {
  return value.kind === "literal" && value.text === "null";
}
