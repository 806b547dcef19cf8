import { show } from "../config/check-options.ts";
import { nearestName } from "../errors/nearest-name.ts";
import { SetupError } from "../errors/setup-error.ts";

/** What an option of a group may be: a number of a range, whole ones where it says so, one of some texts, or any text. */
export type Allowed =
  | { readonly least: number; readonly most?: number; readonly whole?: boolean }
  | { readonly oneOf: readonly string[] }
  | { readonly text: RegExp; readonly like: string };

/**
 * Checks the options of a group.
 *
 * @param name of the group
 * @param allowed all of its options
 * @throws SetupError that names the option and what it may be
 */
export function checkGroup(name: string, group: unknown, allowed: Readonly<Record<string, Allowed>>): void {
  if (typeof group !== "object" || group === null) {
    throw new SetupError(`dial: the option ${name} must be an object, not ${show(group)}`);
  }
  for (const [key, value] of Object.entries(group)) {
    const rule = Object.hasOwn(allowed, key) ? allowed[key] : undefined;
    if (rule === undefined) {
      const near = nearestName(key, Object.keys(allowed));
      const hint = near === undefined ? "" : `; did you mean ${near}?`;
      throw new SetupError(`dial: there is no option ${name}.${key}${hint}`);
    }
    if (value !== undefined && !isAllowed(value, rule))
      throw wrongOption(`${name}.${key}`, describe(rule), value);
  }
}

/** The error of an option. @param expected what it may be */
export function wrongOption(name: string, expected: string, value: unknown): SetupError {
  return new SetupError(`dial: the option ${name} must be ${expected}, not ${show(value)}`);
}

function isAllowed(value: unknown, rule: Allowed): boolean {
  if ("oneOf" in rule) return typeof value === "string" && rule.oneOf.includes(value);
  if ("text" in rule) return typeof value === "string" && rule.text.test(value);
  const { least, most = Infinity, whole = false } = rule;
  if (typeof value !== "number" || !(value >= least && value <= most)) return false;
  return !whole || Number.isInteger(value);
}

function describe(rule: Allowed): string {
  if ("oneOf" in rule) return `one of ${rule.oneOf.join(", ")}`;
  if ("text" in rule) return rule.like;
  const { least, most, whole = false } = rule;
  return `a ${whole ? "whole " : ""}number from ${least}${most === undefined ? "" : ` to ${most}`}`;
}
