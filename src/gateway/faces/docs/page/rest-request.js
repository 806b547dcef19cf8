/** Requests over REST: what of a message goes into path, query and body of a route. */
import { emptyObject, memberOf, setMember, writeJson } from "./json-text.js";
import { namesOf } from "./model.js";
import { formOf } from "./well-known.js";

/** @import { Json, JsonObject } from "./json-text.js" */
/** @import { Field, MessageType, Model, Route, Variable } from "./model.js" */

/**
 * @typedef {object} RestRequest
 * @property {string} verb
 * @property {string} path with its query
 * @property {string | undefined} body JSON; undefined for none
 * @property {readonly string[]} missing fields that the path needs
 * @property {readonly string[]} leftOut fields that no query can have
 */

/**
 * Makes the request of a route.
 *
 * @param {Model} model
 * @param {MessageType} message type of the request
 * @param {Route} route
 * @param {Json} json the request
 * @returns {RestRequest}
 */
export function restRequest(model, message, route, json) {
  const rest = json.kind === "object" ? copyOf(json) : emptyObject();
  /** @type {string[]} */
  const missing = [];
  const path = pathOf(model, message, route, rest, missing);
  const verb = route.verb === "*" ? "POST" : route.verb;
  if (route.body === "*") return { verb, path, body: writeJson(rest), missing, leftOut: [] };
  let body;
  if (route.body !== null) {
    const inner = take(model, message, rest, route.body);
    body = inner === undefined ? "{}" : writeJson(inner);
  }
  const query = new Query(model);
  query.add(message, rest, "");
  return { verb, path: path + query.text(), body, missing, leftOut: query.leftOut };
}

/**
 * @param {Model} model
 * @param {MessageType} message
 * @param {Route} route
 * @param {JsonObject} rest what is left of the request
 * @param {string[]} missing
 */
function pathOf(model, message, { segments, literal, variables, customVerb }, rest, missing) {
  /** @type {string[]} */
  const parts = [];
  for (let at = 0; at < segments.length; at++) {
    const variable = variables.find(({ start, end }) => start <= at && at < end);
    if (variable === undefined) parts.push(literal[at] === true ? (segments[at] ?? "") : "x");
    else {
      const value = take(model, message, rest, variable.field);
      const text = value === undefined ? "" : textOf(value);
      if (text === "" && !(segments.length === 1 && segments[0] === "**")) {
        missing.push(variable.field.join("."));
        parts.push(`{${variable.field.join(".")}}`);
      } else parts.push(encoded(text, variable));
      at = variable.end - 1;
    }
  }
  return `/${parts.join("/")}${customVerb === "" ? "" : `:${customVerb}`}`;
}

/**
 * @param {string} text
 * @param {Variable} variable
 */
function encoded(text, { multi }) {
  const segment = (/** @type {string} */ one) =>
    encodeURIComponent(one).replaceAll("%40", "@").replaceAll("%3A", ":");
  return multi ? text.split("/").map(segment).join("/") : segment(text);
}

/**
 * Removes a field and returns its value; undefined where it is unset.
 *
 * @param {Model} model
 * @param {MessageType} message
 * @param {JsonObject} json
 * @param {readonly string[]} path
 * @returns {Json | undefined}
 */
function take(model, message, json, path) {
  const [first = "", ...more] = path;
  const field = message.fields.find(({ name }) => name === first);
  const names = field === undefined ? /** @type {const} */ ([first]) : namesOf(field);
  const value = memberOf(json, ...names);
  if (value === undefined || isNull(value)) return undefined;
  const inner = field && model.message(field.type);
  if (more.length > 0) {
    if (value.kind !== "object" || inner === undefined) return undefined;
    return take(model, inner, value, more);
  }
  setMember(json, names, undefined);
  return value;
}

class Query {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {string[]} */
    this.parts = [];
    /** @type {string[]} */
    this.leftOut = [];
  }

  /**
   * @param {MessageType} message
   * @param {JsonObject} json
   * @param {string} prefix
   */
  add(message, json, prefix) {
    for (const [name, value] of json.members) {
      if (isNull(value)) continue;
      const field = message.fields.find((one) => namesOf(one).includes(name));
      this.field(field, prefix + name, value);
    }
  }

  /**
   * @param {Field | undefined} field
   * @param {string} key
   * @param {Json} value
   */
  field(field, key, value) {
    if (field?.list === true && value.kind === "array")
      for (const item of value.items) this.value(field, key, item);
    else if (field?.key !== undefined && value.kind === "object") {
      for (const [name, item] of value.members) this.value(field, `${key}[${name}]`, item);
    } else this.value(field, key, value);
  }

  /**
   * @param {Field | undefined} field
   * @param {string} key
   * @param {Json} value
   */
  value(field, key, value) {
    const form = field === undefined ? "scalar" : formOf(this.model, field.type);
    const inner = field && this.model.message(field.type);
    if (form === "json") this.push(key, writeJson(value));
    else if (value.kind === "text" || value.kind === "literal") this.push(key, textOf(value));
    else if (
      form === "message" &&
      inner !== undefined &&
      value.kind === "object" &&
      field?.list !== true &&
      field?.key === undefined
    ) {
      this.add(inner, value, `${key}.`);
    } else this.leftOut.push(key);
  }

  /**
   * @param {string} key
   * @param {string} value
   */
  push(key, value) {
    this.parts.push(`${plain(key)}=${plain(value)}`);
  }

  text() {
    return this.parts.length === 0 ? "" : `?${this.parts.join("&")}`;
  }
}

/**
 * A text in a query, with the signs that need no escape there.
 *
 * @param {string} text
 */
function plain(text) {
  return encodeURIComponent(text)
    .replaceAll("%2F", "/")
    .replaceAll("%3A", ":")
    .replaceAll("%2C", ",")
    .replaceAll("%40", "@")
    .replaceAll("%5B", "[")
    .replaceAll("%5D", "]");
}

/** @param {Json} value */
function textOf(value) {
  return value.kind === "text" || value.kind === "literal" ? value.text : writeJson(value);
}

/** @param {Json} value */
function isNull(value) {
  return value.kind === "literal" && value.text === "null";
}

/**
 * @template {Json} T
 * @param {T} json
 * @returns {T}
 */
function copyOf(json) {
  return structuredClone(json);
}
