import type { CallHead } from "../../admission/call-head.ts";

/** A signature of a call, not verified yet. */
export interface UsualSignature {
  readonly keyId: string | undefined;
  readonly algorithm: string | undefined;
  readonly nonce: string | undefined;
  /** When it was made and when it ends, in seconds since 1970. */
  readonly created: number | undefined;
  readonly expires: number | undefined;
  readonly components: readonly string[];
  /** What is signed. */
  readonly base: Buffer;
  readonly signature: Buffer;
}

/** One signature, its components without parameters, in the canonical form of structured fields (RFC 8941, section 4.1). */
const input =
  /^([a-z*][a-z0-9_.*-]*)=(\((?:"[a-z0-9@!#$%&'*+.^_`|~-]+"(?: "[a-z0-9@!#$%&'*+.^_`|~-]+")*)?\)((?:;[a-z]+=(?:-?(?:0|[1-9]\d{0,14})|"[ !#-[\]-~]*"))*))$/;
const parameter = /;([a-z]+)=(?:(-?\d+)|"([^"]*)")/g;
const bytes = /^([a-z*][a-z0-9_.*-]*)=:((?:[^\W_]|[+/])*={0,2}):$/;
const ascii = /^[\t -~]*$/;
const known: ReadonlySet<string> = new Set(["created", "expires", "keyid", "alg", "nonce", "tag"]);
const numbers: ReadonlySet<string> = new Set(["created", "expires"]);

/**
 * Reads the signature of a call in its usual form: one, with components of which each is `@method`, `@target-uri` or a
 * header field. Undefined for any other call, good or bad: that is for the parser of the whole grammar.
 *
 * Its text is canonical then, so that what is signed (RFC 9421, section 2.5) can be made of it as it came.
 */
export function usualSignature(call: CallHead, label: string): UsualSignature | undefined {
  const read = input.exec(only(call, "signature-input") ?? "");
  const value = bytes.exec(only(call, "signature") ?? "");
  if (read === null || value === null || read[1] !== label || value[1] !== label) return undefined;
  const [, , text = "", parameters = ""] = read;
  const given = readParameters(parameters);
  const list = text.slice(1, text.length - parameters.length - 1);
  const components = list === "" ? [] : list.slice(1, -1).split('" "');
  if (given === undefined || new Set(components).size !== components.length) return undefined;
  let base = "";
  for (const name of components) {
    const found = valueOf(call, name);
    if (found === undefined) return undefined;
    base += `"${name}": ${found}\n`;
  }
  return {
    ...given,
    components,
    base: Buffer.from(`${base}"@signature-params": ${text}`, "latin1"),
    signature: Buffer.from(value[2] ?? "", "base64"),
  };
}

function only(call: CallHead, name: string): string | undefined {
  const values = call.headerValues(name);
  return values.length === 1 ? values[0] : undefined;
}

type Parameters = Pick<UsualSignature, "keyId" | "algorithm" | "nonce" | "created" | "expires">;

/** Undefined for parameters that are not known, are there twice, or are of another type. */
function readParameters(text: string): Parameters | undefined {
  const texts = new Map<string, string>();
  for (const [, name = "", number, quoted] of text.matchAll(parameter)) {
    const value = number ?? quoted;
    const isOfType = numbers.has(name) === (number !== undefined);
    if (value === undefined || !known.has(name) || !isOfType || texts.has(name)) return undefined;
    texts.set(name, value);
  }
  const [created, expires] = [texts.get("created"), texts.get("expires")];
  return {
    keyId: texts.get("keyid"),
    algorithm: texts.get("alg"),
    nonce: texts.get("nonce"),
    created: created === undefined ? undefined : Number(created),
    expires: expires === undefined ? undefined : Number(expires),
  };
}

/** The value of a component (RFC 9421, sections 2.1 and 2.2); undefined where there is none. */
function valueOf(call: CallHead, name: string): string | undefined {
  if (name === "@method") return call.httpMethod;
  let value: string;
  if (name === "@target-uri") value = `${call.scheme}://${call.authority}${call.target}`;
  else if (name.startsWith("@")) return undefined;
  else {
    const values = call.headerValues(name);
    if (values.length === 0) return undefined;
    value = values.length === 1 ? (values[0] ?? "").trim() : values.map((one) => one.trim()).join(", ");
  }
  return ascii.test(value) ? value : undefined;
}
