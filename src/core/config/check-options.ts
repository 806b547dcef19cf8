import { inspect } from "node:util";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";

/** Every option of `O` by its name, the optional ones too: with its default, or undefined where it has none. */
export type EveryOption<O extends object> = { readonly [K in keyof O]-?: O[K] | undefined };

/**
 * Refuses options that TypeScript would not accept, for callers without it.
 *
 * @param owner what the options are of, for errors, for example `HttpServer`
 * @param options what the caller gave, without anything that we put in ourselves
 * @param known all options; those whose default is a number have to be numbers
 * @throws TypeError naming the option, unless `options` is an object of known options whose numbers are numbers
 */
export function checkOptions<O extends object>(owner: string, options: unknown, known: EveryOption<O>): void {
  if (typeof options !== "object" || options === null) {
    throw new SetupError(`${owner}: the options must be an object, not ${show(options)}`);
  }
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(known, name)) throw unknownOption(owner, name, Object.keys(known));
    const byDefault: unknown = known[name as keyof O]; // As it was found above.
    if (typeof byDefault !== "number" || value === undefined) continue;
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw new SetupError(`${owner}: the option ${name} must be a number, not ${show(value)}`);
    }
  }
}

function unknownOption(owner: string, name: string, known: readonly string[]): SetupError {
  const near = nearestName(name, known);
  const hint = near === undefined ? "" : `; did you mean ${near}?`;
  return new SetupError(`${owner}: there is no option ${JSON.stringify(name)}${hint}`);
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
