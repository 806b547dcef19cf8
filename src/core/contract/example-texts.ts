import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { patternTexts } from "./pattern-text.ts";
import { textFor } from "./example-words.ts";

/** Texts of the formats that `buf.validate` knows by name. */
const formats: Readonly<Record<string, readonly string[]>> = {
  email: ["ada@example.com", "grace@example.com", "alan@example.com"],
  hostname: ["example.com", "www.example.com", "api.example.com"],
  ip: ["192.0.2.1", "192.0.2.2", "2001:db8::1"],
  ipv4: ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
  ipv6: ["2001:db8::1", "2001:db8::2", "2001:db8::3"],
  uri: ["https://example.com/1", "https://example.com/2", "https://example.com/3"],
  uriRef: ["/1", "/2", "/3"],
  address: ["example.com", "192.0.2.1", "2001:db8::1"],
  uuid: ["0b2b6b0e-3a51-4c8e-9f43-5d2f6a1c7e10", "6f1d2c3b-4a5e-4f60-8b7c-9d0e1f2a3b4c"],
  tuuid: ["0b2b6b0e3a514c8e9f435d2f6a1c7e10", "6f1d2c3b4a5e4f608b7c9d0e1f2a3b4c"],
  ulid: ["01J0000000000000000000000A", "01J0000000000000000000000B"],
  ipWithPrefixlen: ["192.0.2.1/24", "192.0.2.2/24"],
  ipv4WithPrefixlen: ["192.0.2.1/24", "192.0.2.2/24"],
  ipv6WithPrefixlen: ["2001:db8::1/64", "2001:db8::2/64"],
  ipPrefix: ["192.0.2.0/24", "198.51.100.0/24"],
  ipv4Prefix: ["192.0.2.0/24", "198.51.100.0/24"],
  ipv6Prefix: ["2001:db8::/32", "2001:db8:1::/48"],
  hostAndPort: ["example.com:8080", "192.0.2.1:8080"],
  protobufFqn: ["example.v1.Message", "example.v1.Other"],
  protobufDotFqn: [".example.v1.Message", ".example.v1.Other"],
};
const headers: Readonly<Record<string, string>> = {
  KNOWN_REGEX_HTTP_HEADER_NAME: "x-example",
  KNOWN_REGEX_HTTP_HEADER_VALUE: "example",
};
/** How many texts are tried before the last of them is taken, though it does not fit. */
const mostTried = 64;
const filler = "abcdefghijklmnopqrstuvwxyz";

/**
 * A text for a field, within the rules of `buf.validate` for texts as far as these are no CEL.
 *
 * @param name of the field, which says what the text is about
 * @param turn which of several texts
 */
export function textWithin(rules: JsonObject, name: string, turn: number): string {
  let last = textFor(name, turn);
  if (Object.keys(rules).length === 0) return last; // Most fields have none.
  let tried = 0;
  for (const text of candidates(rules, name, turn)) {
    last = text;
    if (fits(text, rules) || ++tried === mostTried) return text;
  }
  return last;
}

function* candidates(rules: JsonObject, name: string, turn: number): Generator<string> {
  if (typeof rules["const"] === "string") yield rules["const"];
  yield* turned(textsOf(rules["in"]), turn);
  yield* turned(textsOf(rules["example"]), turn);
  for (const [format, texts] of Object.entries(formats))
    if (rules[format] === true) yield* turned(texts, turn);
  const { wellKnownRegex } = rules;
  const header = typeof wellKnownRegex === "string" ? headers[wellKnownRegex] : undefined;
  if (header !== undefined) yield header;
  const { pattern } = rules;
  // A text of the pattern matches it, which nothing can tell of others where ECMAScript cannot read it.
  if (typeof pattern !== "string" || readable(pattern) !== undefined) yield textFor(name, turn);
  if (typeof pattern === "string") {
    for (let more = 0; more < 8; more++) yield* patternTexts(pattern, turn + more);
  }
  for (let more = 0; more < mostTried; more++) {
    yield framed(textFor(name, turn + more), rules);
    yield framed(filler.slice(more % filler.length), rules); // Where the name is what a rule refuses.
  }
}

function turned(list: readonly string[], turn: number): string[] {
  const at = list.length === 0 ? 0 : turn % list.length;
  return [...list.slice(at), ...list.slice(0, at)];
}

/** A text with the wanted beginning, end and part, of the wanted length. */
function framed(text: string, rules: JsonObject): string {
  const [head = "", part = "", tail = ""] = ["prefix", "contains", "suffix"].map((rule) =>
    typeof rules[rule] === "string" ? rules[rule] : "",
  );
  const least = Math.max(numberOf(rules, "len", 0), numberOf(rules, "minLen", 0), bytesOf(rules, "minBytes"));
  const most = Math.min(
    numberOf(rules, "len", Number.POSITIVE_INFINITY),
    numberOf(rules, "maxLen", Number.POSITIVE_INFINITY),
    numberOf(rules, "lenBytes", Number.POSITIVE_INFINITY),
    numberOf(rules, "maxBytes", Number.POSITIVE_INFINITY),
  );
  const around = Array.from(head + part + tail).length;
  const wanted = Math.max(least - around, 0);
  let middle = Array.from(text).slice(0, Math.max(0, most - around));
  if (middle.length < wanted) {
    const more = `${text} ${filler}`;
    middle = Array.from(more.repeat(Math.ceil(wanted / more.length)).slice(0, wanted));
    if (middle.at(-1) === " ") middle[middle.length - 1] = "z";
  }
  return head + middle.join("") + part + tail;
}

function bytesOf(rules: JsonObject, name: string): number {
  return Math.max(numberOf(rules, name, 0), numberOf(rules, "lenBytes", 0));
}

function numberOf(rules: JsonObject, name: string, otherwise: number): number {
  return rules[name] === undefined ? otherwise : Number(rules[name]);
}

/** Whether a text keeps the rules that are no formats. */
function fits(text: string, rules: JsonObject): boolean {
  const { const: constant, pattern, prefix, suffix, contains, notContains } = rules;
  if (constant !== undefined && text !== constant) return false;
  if (isNotIn(text, textsOf(rules["in"])) || textsOf(rules["notIn"]).includes(text)) return false;
  if (typeof prefix === "string" && !text.startsWith(prefix)) return false;
  if (typeof suffix === "string" && !text.endsWith(suffix)) return false;
  if (typeof contains === "string" && !text.includes(contains)) return false;
  if (typeof notContains === "string" && text.includes(notContains)) return false;
  if (typeof pattern === "string" && !matches(text, pattern)) return false;
  return isWithin(Array.from(text).length, rules, ["len", "minLen", "maxLen"]) && hasBytes(text, rules);
}

function hasBytes(text: string, rules: JsonObject): boolean {
  return isWithin(Buffer.byteLength(text), rules, ["lenBytes", "minBytes", "maxBytes"]);
}

/** @param names of the rules for the exact size, the least and the most */
export function isWithin(size: number, rules: JsonObject, names: readonly [string, string, string]): boolean {
  const [exact, least, most] = names;
  return (
    (rules[exact] === undefined || size === Number(rules[exact])) &&
    size >= numberOf(rules, least, 0) &&
    size <= numberOf(rules, most, Number.POSITIVE_INFINITY)
  );
}

function isNotIn(text: string, list: readonly string[]): boolean {
  return list.length > 0 && !list.includes(text);
}

/** Whether a text matches an expression of RE2; one that ECMAScript cannot read counts as matched. */
export function matches(text: string, pattern: string): boolean {
  return readable(pattern)?.test(text) ?? true;
}

/** An expression of RE2 as ECMAScript has it, where the two are that near. */
function readable(pattern: string): RegExp | undefined {
  const flags = new Set(
    ["i", "m", "s"].filter((flag) => new RegExp(String.raw`\(\?[ims]*${flag}[ims]*\)`).test(pattern)),
  );
  const body = pattern
    .replaceAll(/\(\?[ims]+\)/g, "")
    .replaceAll("(?P<", "(?<")
    .replaceAll(String.raw`\A`, "^")
    .replaceAll(String.raw`\z`, "$");
  try {
    return new RegExp(body, `u${[...flags].join("")}`);
  } catch {
    return undefined;
  }
}

export function textsOf(list: JsonValue | undefined): string[] {
  return Array.isArray(list) ? list.filter((one) => typeof one === "string") : [];
}
