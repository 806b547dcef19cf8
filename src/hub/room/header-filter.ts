import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";

/** A test of one header. `above` and `below` compare decimals; a value that is none does not match. */
export type HeaderTest = { readonly header: string } & (
  | { readonly is: string }
  | { readonly isNot: string }
  | { readonly oneOf: readonly string[] }
  | { readonly prefix: string }
  | { readonly present: boolean }
  | { readonly above: number }
  | { readonly below: number }
);

/** Which publications are wanted, by their headers: at most 16 tests, at most 4 deep. */
export type HeaderFilter =
  | HeaderTest
  | { readonly all: readonly HeaderFilter[] }
  | { readonly any: readonly HeaderFilter[] }
  | { readonly not: HeaderFilter };

/** Headers of a publication; names in lower case. */
export type EventHeaders = Readonly<Record<string, string>>;

/** Whether a publication with these headers is wanted. */
export type Wants = (headers: EventHeaders) => boolean;

const maxDepth = 4;
const maxTests = 16;
const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)$/;

/** What each test asks of a value; undefined where the publication does not have the header. */
const tests: Readonly<
  Record<string, (operand: unknown) => ((value: string | undefined) => boolean) | undefined>
> = {
  is: (text) => (isText(text) ? (value) => value === text : undefined),
  isNot: (text) => (isText(text) ? (value) => value !== text : undefined),
  oneOf(texts) {
    if (!Array.isArray(texts) || !texts.every(isText)) return undefined;
    const known = new Set<string>(texts);
    return (value) => value !== undefined && known.has(value);
  },
  prefix: (text) => (isText(text) ? (value) => value?.startsWith(text) === true : undefined),
  present: (is) => (typeof is === "boolean" ? (value) => (value !== undefined) === is : undefined),
  above: (limit) => (isNumber(limit) ? (value) => numberOf(value) > limit : undefined),
  below: (limit) => (isNumber(limit) ? (value) => numberOf(value) < limit : undefined),
};

/** Compiles a filter. @throws ConnectError INVALID_ARGUMENT naming its part that cannot be used */
export function compileFilter(filter: HeaderFilter): Wants {
  return compile(filter, "filter", 1, { left: maxTests });
}

function compile(filter: HeaderFilter, path: string, depth: number, budget: { left: number }): Wants {
  if (depth > maxDepth) throw wrong(path, `filters are at most ${maxDepth} deep within one another`);
  if (typeof filter !== "object" || filter === null)
    throw wrong(path, "a test, or all, any or not is expected");
  const members = filter as Readonly<Record<string, unknown>>; // Clients give any.
  const list = (name: string): Wants[] => {
    const inner = members[name];
    if (!Array.isArray(inner)) throw wrong(`${path}.${name}`, "a list of filters is expected");
    return inner.map((one: HeaderFilter, place) =>
      compile(one, `${path}.${name}[${place}]`, depth + 1, budget),
    );
  };
  if ("all" in members) {
    const all = list("all");
    return (headers) => all.every((wants) => wants(headers));
  }
  if ("any" in members) {
    const any = list("any");
    return (headers) => any.some((wants) => wants(headers));
  }
  if ("not" in members) {
    const wants = compile(members["not"] as HeaderFilter, `${path}.not`, depth + 1, budget); // It checks it.
    return (headers) => !wants(headers);
  }
  return compileTest(members, path, budget);
}

function compileTest(
  members: Readonly<Record<string, unknown>>,
  path: string,
  budget: { left: number },
): Wants {
  const { header, ...others } = members;
  const [name, second] = Object.keys(others);
  const make = name !== undefined && Object.hasOwn(tests, name) ? tests[name] : undefined;
  if (!isText(header) || name === undefined || second !== undefined || make === undefined) {
    throw wrong(path, `a header and one of ${Object.keys(tests).join(", ")} are expected`);
  }
  if (--budget.left < 0) throw wrong(path, `a filter has at most ${maxTests} tests`);
  const test = make(others[name]);
  if (test === undefined) throw wrong(`${path}.${name}`, "it is of another type");
  const key = header.toLowerCase();
  return (headers) => test(Object.hasOwn(headers, key) ? headers[key] : undefined);
}

/** NaN, which is neither above nor below anything, for what is no decimal. */
function numberOf(value: string | undefined): number {
  return value !== undefined && decimal.test(value) ? Number(value) : Number.NaN;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isNumber(value: unknown): value is number {
  return typeof value === "number" && !Number.isNaN(value);
}

function wrong(field: string, description: string): ConnectError {
  return invalidArgument(`${field}: ${description}`, [{ field, description }]);
}
