import { SetupError } from "../errors/setup-error.ts";
import type { Attempt } from "./attempt.ts";

/** Options for HTTP rules that cannot be served. */
export interface BadRuleOptions {
  /**
   * What to do with HTTP rules that cannot be served, or that match the same requests as a rule of another rpc.
   * `refuse`: throw an error that names all of them. `skip`: skip these bindings alone and call `onSkippedRule` for
   * each. Of two rules that match the same requests the first is served. Rules outside the proto come first, then
   * annotations, then implicit paths; within each, services are in the order in which they were added, rpcs and the
   * bindings of an rpc in the order of the contract. Default: `refuse`.
   */
  readonly onBadRule: "refuse" | "skip";
  /** Called with a sentence for each skipped rule. Default: `process.emitWarning`. */
  readonly onSkippedRule: (message: string) => void;
}

/** The defaults of `BadRuleOptions`. */
export const badRuleDefaults: BadRuleOptions = Object.freeze({
  onBadRule: "refuse",
  onSkippedRule: (message: string) => process.emitWarning(message, "SkippedRule"),
});

/** The remedies, which the error lists. The last two need no change of the contract. */
const remedies =
  "Correct the contract, or give the rpc other rules in a service configuration (--rules, option rules; a rule with a " +
  'selector alone removes the bindings of the rpc), or leave out such bindings (--on-bad-rule skip, option onBadRule: "skip")';

/** Collects the errors of rules that cannot be served while routes are compiled, to report all of them at once. */
export class RuleRefusals {
  readonly #reasons: SetupError[] = [];

  /** Runs `make` and keeps its `SetupError`, if it throws one. */
  readonly attempt: Attempt = (make) => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      this.#reasons.push(error);
      return undefined;
    }
  };

  /**
   * Reports the collected errors.
   *
   * @throws SetupError with all reasons and the remedies, if `onBadRule` is `refuse`
   */
  settle({ onBadRule, onSkippedRule }: BadRuleOptions): void {
    const [first] = this.#reasons;
    if (first === undefined) return;
    const reasons = this.#reasons.map(({ message }) => message);
    if (onBadRule === "skip") {
      for (const reason of reasons) onSkippedRule(`HTTP rule left out: ${reason}`);
      return;
    }
    const heading = reasons.length === 1 ? [] : [`${reasons.length} HTTP rules cannot be served:`];
    throw new SetupError([...heading, ...reasons, remedies].join("\n"), { cause: first });
  }
}
