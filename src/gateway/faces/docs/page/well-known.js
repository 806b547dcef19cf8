/** Types whose JSON is no object of their fields. */

/** @import { Model } from "./model.js" */

/**
 * How values of a type are entered.
 *
 * @typedef {"scalar" | "enum" | "message" | "timestamp" | "duration" | "mask" | "json" | "any" | "wrapper" | "empty"} Form
 */

const prefix = "google.protobuf.";

/** @type {Record<string, Form>} */
const forms = {
  Timestamp: "timestamp",
  Duration: "duration",
  FieldMask: "mask",
  Struct: "json",
  Value: "json",
  ListValue: "json",
  NullValue: "json",
  Any: "any",
  Empty: "empty",
};

/** Scalars of the wrappers, by the names of these. */
const wrapped = /** @type {Record<string, string>} */ ({
  DoubleValue: "double",
  FloatValue: "float",
  Int64Value: "int64",
  UInt64Value: "uint64",
  Int32Value: "int32",
  UInt32Value: "uint32",
  BoolValue: "bool",
  StringValue: "string",
  BytesValue: "bytes",
});

/**
 * @param {Model} model
 * @param {string} type a scalar, or a full name
 * @returns {Form}
 */
export function formOf(model, type) {
  if (type.startsWith(prefix)) {
    const name = type.slice(prefix.length);
    if (wrapped[name] !== undefined) return "wrapper";
    const form = forms[name];
    if (form !== undefined) return form;
  }
  if (!type.includes(".") && !model.types.has(type)) return "scalar";
  return model.types.get(type)?.kind === "enum" ? "enum" : "message";
}

/**
 * The scalar in a wrapper; the type itself for others.
 *
 * @param {string} type
 */
export function unwrapped(type) {
  return (type.startsWith(prefix) && wrapped[type.slice(prefix.length)]) || type;
}
