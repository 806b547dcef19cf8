/**
 * JSON as it is written: numbers keep their digits, which JavaScript's own parser rounds.
 *
 * @typedef {{ kind: "object", members: [string, Json][] }} JsonObject
 * @typedef {{ kind: "array", items: Json[] }} JsonArray
 * @typedef {{ kind: "text", text: string }} JsonText
 * @typedef {{ kind: "literal", text: string }} JsonLiteral a number as it was written, true, false or null
 * @typedef {JsonObject | JsonArray | JsonText | JsonLiteral} Json
 */

/** What is wrong with a text that should be JSON, and where. */
export class JsonError extends Error {
  /**
   * @param {string} reason
   * @param {string} source
   * @param {number} at
   */
  constructor(reason, source, at) {
    const before = source.slice(0, at).split("\n");
    const column = (before.at(-1)?.length ?? 0) + 1;
    super(`line ${before.length}, column ${column}: ${reason}`);
  }
}

const deepest = 200;
const space = /[ \t\r\n]*/y;
const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const literal = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/**
 * Reads a JSON text.
 *
 * @param {string} source
 * @returns {Json}
 * @throws {JsonError}
 */
export function parseJson(source) {
  const reader = new Reader(source);
  const value = reader.value(0);
  reader.skip();
  if (reader.at < source.length) throw new JsonError("expected the end of the text", source, reader.at);
  return value;
}

/**
 * Reads JSON texts one after another: those of a stream.
 *
 * @param {string} source
 * @returns {Json[]}
 * @throws {JsonError}
 */
export function parseTexts(source) {
  const reader = new Reader(source);
  /** @type {Json[]} */
  const values = [];
  for (reader.skip(); reader.at < source.length; reader.skip()) values.push(reader.value(0));
  return values;
}

class Reader {
  /** @param {string} source */
  constructor(source) {
    this.source = source;
    this.at = 0;
  }

  skip() {
    space.lastIndex = this.at;
    space.test(this.source);
    this.at = space.lastIndex;
  }

  /**
   * @param {number} depth
   * @returns {Json}
   */
  value(depth) {
    this.skip();
    if (depth > deepest) throw this.error("it is nested too deeply");
    const first = this.source[this.at];
    if (first === "{") return this.object(depth);
    if (first === "[") return this.array(depth);
    if (first === '"') return { kind: "text", text: this.text() };
    return { kind: "literal", text: this.token(literal, "a value") };
  }

  /** @param {number} depth */
  object(depth) {
    /** @type {[string, Json][]} */
    const members = [];
    this.at++;
    this.skip();
    if (this.take("}")) return /** @type {JsonObject} */ ({ kind: "object", members });
    do {
      this.skip();
      if (this.source[this.at] !== '"') throw this.error("expected the name of a member in quotes");
      const name = this.text();
      this.skip();
      if (!this.take(":")) throw this.error("expected a colon");
      members.push([name, this.value(depth + 1)]);
      this.skip();
    } while (this.take(","));
    if (!this.take("}")) throw this.error("expected a comma or }");
    return /** @type {JsonObject} */ ({ kind: "object", members });
  }

  /** @param {number} depth */
  array(depth) {
    /** @type {Json[]} */
    const items = [];
    this.at++;
    this.skip();
    if (this.take("]")) return /** @type {JsonArray} */ ({ kind: "array", items });
    do {
      items.push(this.value(depth + 1));
      this.skip();
    } while (this.take(","));
    if (!this.take("]")) throw this.error("expected a comma or ]");
    return /** @type {JsonArray} */ ({ kind: "array", items });
  }

  text() {
    return /** @type {string} */ (JSON.parse(this.token(string, "a text in quotes")));
  }

  /**
   * @param {RegExp} pattern
   * @param {string} what
   */
  token(pattern, what) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source)?.[0];
    if (found === undefined) throw this.error(`expected ${what}`);
    this.at += found.length;
    return found;
  }

  /** @param {string} sign */
  take(sign) {
    if (this.source[this.at] !== sign) return false;
    this.at++;
    return true;
  }

  /** @param {string} reason */
  error(reason) {
    return new JsonError(reason, this.source, this.at);
  }
}

/**
 * Writes JSON in one line, or in lines with two spaces for each depth.
 *
 * @param {Json} json
 * @param {boolean} [inLines]
 * @param {string} [indent]
 * @returns {string}
 */
export function writeJson(json, inLines = false, indent = "") {
  if (json.kind === "text") return JSON.stringify(json.text);
  if (json.kind === "literal") return json.text;
  const inner = `${indent}  `;
  const parts =
    json.kind === "array"
      ? json.items.map((item) => writeJson(item, inLines, inner))
      : json.members.map(
          ([name, value]) =>
            `${JSON.stringify(name)}:${inLines ? " " : ""}${writeJson(value, inLines, inner)}`,
        );
  const [open, close] = json.kind === "array" ? "[]" : "{}";
  if (parts.length === 0) return `${open}${close}`;
  return inLines
    ? `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`
    : `${open}${parts.join(",")}${close}`;
}

/**
 * Indents a JSON text without reading its values: every character of them stays. What is no JSON stays as it is.
 *
 * @param {string} source
 */
export function indented(source) {
  let out = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(Math.min(depth, 100))}`;
  for (const [token] of source.matchAll(/"(?:[^"\\]|\\.)*"?|[{}[\],:]|[^\s"{}[\],:]+/gs)) {
    if (token === "{" || token === "[") {
      depth++;
      out += token + line();
    } else if (token === "}" || token === "]") {
      depth = Math.max(0, depth - 1);
      const trimmed = out.trimEnd();
      out = /[{[]$/.test(trimmed) ? trimmed + token : trimmed + line() + token;
    } else if (token === ",") out += `,${line()}`;
    else if (token === ":") out += ": ";
    else out += token;
  }
  return out;
}

/**
 * Where the values of the outermost members of an object are in its text. The text of a value stays as it was sent.
 *
 * @param {string} source an object in JSON
 * @returns {Record<string, string>}
 */
export function memberTexts(source) {
  /** @type {Record<string, string>} */
  const texts = {};
  let depth = 0;
  let name = "";
  let start = -1;
  for (let at = 0; at < source.length; at++) {
    const sign = source.charCodeAt(at);
    if (sign === 34) {
      const end = stringEnd(source, at);
      if (depth === 1 && start < 0) name = /** @type {string} */ (JSON.parse(source.slice(at, end)));
      at = end - 1;
    } else if (sign === 123 || sign === 91) depth++;
    else if (sign === 125 || sign === 93 || sign === 44) {
      if (depth === 1 && start >= 0) {
        texts[name] = source.slice(start, at).trim();
        start = -1;
      }
      if (sign !== 44) depth--;
    } else if (sign === 58 && depth === 1 && start < 0) start = at + 1;
  }
  return texts;
}

/**
 * @param {string} source
 * @param {number} start of the opening quote
 */
function stringEnd(source, start) {
  let end = start;
  do {
    end = source.indexOf('"', end + 1);
    if (end < 0) return source.length;
  } while (isEscaped(source, end));
  return end + 1;
}

/**
 * @param {string} source
 * @param {number} at
 */
function isEscaped(source, at) {
  let count = 0;
  while (source.charCodeAt(at - 1 - count) === 92) count++;
  return count % 2 === 1;
}

/**
 * A member of an object; undefined where it is not there.
 *
 * @param {Json | undefined} json
 * @param {...string} names the first of which that is there counts
 * @returns {Json | undefined}
 */
export function memberOf(json, ...names) {
  if (json?.kind !== "object") return undefined;
  return json.members.find(([name]) => names.includes(name))?.[1];
}

/** @returns {JsonObject} */
export function emptyObject() {
  return { kind: "object", members: [] };
}

/**
 * Sets a member of an object, at its place if it is there; undefined removes it.
 *
 * @param {JsonObject} object
 * @param {readonly [string, ...string[]]} names of the member; the first is written
 * @param {Json | undefined} value
 */
export function setMember(object, names, value) {
  const at = object.members.findIndex(([name]) => names.includes(name));
  if (value === undefined) {
    if (at >= 0) object.members.splice(at, 1);
  } else if (at >= 0) object.members[at] = [object.members[at]?.[0] ?? names[0], value];
  else object.members.push([names[0], value]);
}
