import { inspect } from "node:util";
import { SetupError } from "../errors/setup-error.ts";

/**
 * Refuses options that TypeScript would not take, for callers without it.
 *
 * @param owner what the options are of, for errors, for example `HttpServer`
 * @param defaults what says which options are numbers
 * @throws TypeError naming the option, unless `options` is an object whose numbers are numbers
 */
export function checkOptions(owner: string, options: unknown, defaults: object): void {
  if (typeof options !== "object" || options === null) {
    throw new SetupError(`${owner}: the options must be an object, not ${show(options)}`);
  }
  const given = options as Readonly<Record<string, unknown>>; // Any object has its members by name.
  for (const [name, byDefault] of Object.entries(defaults)) {
    const value = given[name];
    if (typeof byDefault !== "number" || value === undefined) continue;
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw new SetupError(`${owner}: the option ${name} must be a number, not ${show(value)}`);
    }
  }
}

/**
 * Refuses a required option that is missing or cannot be one.
 *
 * @param isGood whether the value can be one
 * @param kind what the value must be, for errors
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

/** A value in one line, for errors. */
export function show(value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Infinity });
}
