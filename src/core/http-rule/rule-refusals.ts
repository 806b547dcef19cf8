import { SetupError } from "../errors/setup-error.ts";

/** What becomes of HTTP rules that cannot be served. */
export interface BadRuleOptions {
  /**
   * Whether HTTP rules that cannot be served, or that match the same requests as another rpc's, are an error
   * (`refuse`: it names all of them) or are left out (`skip`: those bindings alone, with a call of `onSkippedRule`
   * each). Of two rules that match the same requests the first is served: rules outside the proto go before
   * annotations, these before the paths that rpcs have without a rule, and of each the services in the order in which
   * they were added, their rpcs and the bindings of an rpc in the order of the contract. Default: `refuse`.
   */
  readonly onBadRule: "refuse" | "skip";
  /** Is told of each rule that was left out, in a sentence. Default: `process.emitWarning`. */
  readonly onSkippedRule: (message: string) => void;
}

/** The defaults of `BadRuleOptions`. */
export const badRuleDefaults: BadRuleOptions = Object.freeze({
  onBadRule: "refuse",
  onSkippedRule: (message: string) => process.emitWarning(message, "SkippedRule"),
});

/** What whoever does not own the contract can do. */
const wayOut =
  "Correct the contract, or give the rpc other rules in a service configuration (--rules, option rules; a rule with a " +
  'selector alone takes the bindings of the rpc away), or have such bindings left out (--on-bad-rule skip, option onBadRule: "skip")';

/**
 * Makes something of a rule: the result of `make`, or undefined when the rule is refused and what refuses it, a
 * `SetupError`, is kept for later.
 */
export type Attempt = <T>(make: () => T) => T | undefined;

/** An attempt whose refusal is thrown at once. */
export const attemptStrictly: Attempt = (make) => make();

/** Why rules cannot be served, collected while routes are made, so that all of it is said at once. */
export class RuleRefusals {
  readonly #reasons: SetupError[] = [];

  /** Keeps the reason when a rule is refused. */
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
   * Ends the collection.
   *
   * @throws SetupError with all reasons and the way out, in `refuse`
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
    throw new SetupError([...heading, ...reasons, wayOut].join("\n"), { cause: first });
  }
}
