import {
  createRegistry,
  type DescFile,
  type DescMessage,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate";
import { SetupError } from "../errors/setup-error.ts";
import { brokenRequest, hasAtMost, violationText } from "./broken-rules.ts";
import { faultyRule } from "./faulty-rule.ts";
import { messagesIn } from "./rules-in.ts";
import { sampleMessages } from "./sample-messages.ts";

/** A request with more elements is checked up to its first violation only: an attacker's list would cost memory. */
const largestReport = 10_000;

/** With more types, the compiled ones are forgotten: contracts may come and go for months. */
const largestBook = 10_000;

/** Rules by protovalidate, compiled. */
export class RuleBook {
  readonly #maxViolations: number;
  /** The files with predefined rules that the validators know, by their names. */
  readonly #files = new Map<string, DescFile>();
  readonly #compiled = new Set<DescMessage>();
  /** Ends at the first violation. */
  #first: Validator;
  /** Collects all violations. */
  #all: Validator;

  constructor(maxViolations: number) {
    this.#maxViolations = maxViolations;
    this.#first = createValidator({ failFast: true });
    this.#all = createValidator();
  }

  /**
   * Compiles the rules of a type and of the types in it.
   *
   * @param rpc whose message it is, for errors
   * @throws SetupError naming rpc and field for a rule that cannot be compiled
   */
  compile(type: DescMessage, rpc: string): void {
    if (this.#compiled.has(type)) return;
    this.#know(type.file);
    for (const message of messagesIn(type)) {
      const samples = sampleMessages(message);
      for (const validator of [this.#first, this.#all]) {
        for (const sample of samples) {
          if (validator.validate(message, sample).kind !== "error") continue;
          const problem = faultyRule(message, samples, () => createValidator(this.#options));
          if (problem !== undefined) throw new SetupError(`${rpc}: ${problem}`);
        }
      }
    }
    this.#compiled.add(type);
  }

  /** @throws ConnectError INVALID_ARGUMENT with the violations; Error if a rule cannot be evaluated */
  request(type: DescMessage, message: Message): void {
    const violations = this.#violations(type, message);
    if (violations !== undefined) throw brokenRequest(type, violations, this.#maxViolations);
  }

  /** @throws Error naming the violations */
  reply(type: DescMessage, message: Message): void {
    const violations = this.#violations(type, message)?.slice(0, this.#maxViolations);
    if (violations === undefined) return;
    throw new Error(`it breaks rules of ${type.typeName}: ${violations.map(violationText).join("; ")}`);
  }

  #violations(type: DescMessage, message: Message): readonly Violation[] | undefined {
    const first = this.#first.validate(type, message);
    if (first.kind === "valid") return undefined;
    if (first.kind === "error") throw first.error;
    if (this.#maxViolations === 1 || !hasAtMost(largestReport, message)) return first.violations;
    const all = this.#all.validate(type, message);
    return all.kind === "invalid" ? all.violations : first.violations;
  }

  get #options(): { readonly registry: Registry } {
    return { registry: createRegistry(...this.#files.values()) };
  }

  /** Predefined rules are extensions in any file; validators know those that there are when they are made. */
  #know(file: DescFile): void {
    const withRules = withImports(file).filter(definesRules);
    const added = withRules.filter((one) => this.#files.get(one.name) !== one);
    for (const one of added) this.#files.set(one.name, one);
    if (added.length > 0 || this.#compiled.size >= largestBook) this.#begin();
  }

  /** From now on with nothing compiled: types that are still in use are compiled again when they are next checked. */
  #begin(): void {
    this.#compiled.clear();
    this.#first = createValidator({ ...this.#options, failFast: true });
    this.#all = createValidator(this.#options);
  }
}

/** A file with all that it imports. */
function withImports(file: DescFile): readonly DescFile[] {
  const found = new Set([file]);
  for (const one of found) for (const imported of one.dependencies) found.add(imported);
  return [...found];
}

/** Whether a file extends the rules of protovalidate. */
function definesRules({ extensions }: DescFile): boolean {
  return extensions.some(({ extendee }) => extendee.typeName.startsWith("buf.validate."));
}
