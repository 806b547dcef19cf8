import { pathOf, queryOf } from "../net/request-target.ts";

/** What stands in place of a value that must not be in a log. */
export const masked = "***";

/** Headers whose values are never logged. */
const secretHeaders: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "signature",
]);

/** Query parameters whose values are credentials, beside those whose names say so. */
const secretParameters: ReadonlySet<string> = new Set(["code", "sig"]);

const secretName = /password|secret|token|api[-_]?key|credential/i;
/** Credentials inside of texts: `Bearer …`, `password=…`, `"token": "…"`, and passwords in URLs. */
const inTexts = [
  [/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${masked}`],
  [
    /((?:password|secret|token|api[-_]?key|credential)[\w-]*["']?\s*[=:]\s*["']?)[^\s"',;&}]+/gi,
    `$1${masked}`,
  ],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)[^\s/@]+@/gi, `$1${masked}@`],
] as const;

/** So deep are values of log lines looked at; what is deeper is masked. */
const maxDepth = 8;

/** Masks what must never be in a log: values of headers, fields and parameters that are credentials. */
export class Redactor {
  #names: ReadonlySet<string> = new Set();

  /** @param names further names of headers, fields and parameters, in any letter case */
  constructor(names: readonly string[] = []) {
    this.use(names);
  }

  /** From now on these are the further names, in place of those before. */
  use(names: readonly string[]): void {
    this.#names = new Set(names.map((name) => name.toLowerCase()));
  }

  /** Whether values of this name are never logged. */
  isSecret(name: string): boolean {
    if (secretName.test(name)) return true;
    const lower = name.toLowerCase();
    return secretHeaders.has(lower) || this.#names.has(lower);
  }

  /** `value` without the values of secret names in it, at any depth; itself if there are none. */
  value(value: unknown, depth = 0): unknown {
    if (typeof value !== "object" || value === null || value instanceof Error) return value;
    if (depth > maxDepth) return masked;
    if (Array.isArray(value)) return this.#list(value, depth);
    if (value instanceof Headers || value instanceof Map || value instanceof URLSearchParams) {
      return this.value(Object.fromEntries(value), depth);
    }
    return isPlain(value) ? this.#members(value, depth) : value;
  }

  /** A request target with the values of secret parameters masked. */
  target(target: string): string {
    const path = pathOf(target);
    if (path.length === target.length) return target;
    let changed = false;
    const pairs = queryOf(target, path).split("&");
    const shown = pairs.map((pair) => {
      const [name = ""] = pair.split("=", 1);
      if (name.length === pair.length || !this.#isSecretParameter(name)) return pair;
      changed = true;
      return `${name}=${masked}`;
    });
    return changed ? `${path}?${shown.join("&")}` : target;
  }

  #isSecretParameter(written: string): boolean {
    const name = decoded(written);
    if (this.isSecret(name) || secretParameters.has(name.toLowerCase())) return true;
    return name.toLowerCase().startsWith("$header.");
  }

  #list(list: readonly unknown[], depth: number): unknown {
    let copy: unknown[] | undefined;
    for (const [i, item] of list.entries()) {
      const shown = this.value(item, depth + 1);
      if (shown !== item) (copy ??= [...list])[i] = shown;
    }
    return copy ?? list;
  }

  #members(members: Readonly<Record<string, unknown>>, depth: number): unknown {
    let copy: Record<string, unknown> | undefined;
    for (const name of Object.keys(members)) {
      const item = members[name];
      const shown = item !== undefined && this.isSecret(name) ? masked : this.value(item, depth + 1);
      if (shown !== item) (copy ??= { ...members })[name] = shown;
    }
    return copy ?? members;
  }
}

/** A text with the credentials in it masked, as far as they can be recognized. */
export function redactText(text: string): string {
  let shown = text;
  for (const [pattern, replacement] of inTexts) shown = shown.replaceAll(pattern, replacement);
  return shown;
}

function isPlain(value: object): value is Readonly<Record<string, unknown>> {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
