import { inspect } from "node:util";
import { SetupError } from "../errors/setup-error.ts";

/**
 * Rejects options of the wrong type, for callers without TypeScript.
 *
 * @param owner class or function that gets the options, for errors, for example `HttpServer`
 * @param defaults the default options; those that are numbers must be numbers in `options` too
 * @throws TypeError naming the option, unless `options` is an object whose numbers are numbers
 */
export function checkOptions(owner: string, options: unknown, defaults: object): void {
  if (typeof options !== "object" || options === null) {
    throw new SetupError(`${owner}: the options must be an object, not ${show(options)}`);
  }
  const given = options as Readonly<Record<string, unknown>>; // Members of any object can be read by name.
  for (const [name, byDefault] of Object.entries(defaults)) {
    const value = given[name];
    if (typeof byDefault !== "number" || value === undefined) continue;
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw new SetupError(`${owner}: the option ${name} must be a number, not ${show(value)}`);
    }
  }
}

/**
 * Rejects a required option that is missing or of the wrong type.
 *
 * @param isGood whether the value is valid
 * @param kind description of valid values, for errors
 * @throws TypeError naming the option and what it must be
 */
export function checkRequired(
  owner: string,
  name: string,
  value: unknown,
  isGood: boolean,
  kind: string,
): void {
  if (isGood) return;
  const problem = value === undefined ? "is missing: it must be" : "must be";
  const instead = value === undefined ? "" : `, not ${show(value)}`;
  throw new SetupError(`${owner}: the option ${name} ${problem} ${kind}${instead}`);
}

/** Whether a value is an object with functions of these names. */
export function hasFunctions(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  const members = value as Readonly<Record<string, unknown>>; // As above.
  return names.every((name) => typeof members[name] === "function");
}

/** A value on one line, for errors. */
export function show(value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Infinity });
}
