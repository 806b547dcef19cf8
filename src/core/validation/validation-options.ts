import { show } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";

/** Options of the check of messages by the rules of their contract (`buf.validate`, protovalidate). */
export interface ValidationOptions {
  /**
   * `auto` checks the requests of every rpc whose messages have rules: one that breaks a rule is INVALID_ARGUMENT.
   * Default: `auto`.
   */
  readonly requests: "auto" | "off";
  /** `enforce` checks replies too: one that breaks a rule is INTERNAL, its violations are logged. Default: `off`. */
  readonly responses: "enforce" | "off";
  /** The largest number of violations that an error names. Default: 100. */
  readonly maxViolations: number;
}

/** The defaults of `ValidationOptions`. */
export const validationDefaults: ValidationOptions = Object.freeze({
  requests: "auto",
  responses: "off",
  maxViolations: 100,
});

/** The option `validation` of a server with its defaults. @throws TypeError naming the value that cannot be used */
export function validationOptions(owner: string, given: Partial<ValidationOptions>): ValidationOptions {
  const options = { ...validationDefaults, ...given };
  check(owner, "requests", options.requests, ["auto", "off"]);
  check(owner, "responses", options.responses, ["enforce", "off"]);
  const { maxViolations } = options;
  if (!Number.isInteger(maxViolations) || maxViolations < 1) {
    throw new SetupError(
      `${owner}: the option validation.maxViolations must be 1 or more, not ${show(maxViolations)}`,
    );
  }
  return options;
}

function check(owner: string, name: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  const names = known.map((one) => `"${one}"`).join(" or ");
  throw new SetupError(`${owner}: the option validation.${name} must be ${names}, not ${show(value)}`);
}
