import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { RequestCheck, RpcChecks } from "../call/message-checks.ts";
import { rpcName } from "../call/service.ts";
import { loadPeer } from "../config/optional-peer.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { RuleBook } from "./rule-book.ts";
import { hasRules } from "./rules-in.ts";
import { type ValidationOptions, validationOptions } from "./validation-options.ts";

/** Rules of a contract are the same for every server that checks them. */
const rulesOfContracts = {};

/**
 * The checks of all rpcs of a server by the rules of their contracts. The validator is loaded for the first rpc that has
 * rules, and compiles the rules of each rpc once, before its first call.
 */
export class Validation {
  readonly #options: ValidationOptions;
  #book: RuleBook | undefined;
  #loading: Promise<void> | undefined;
  /** The rpcs whose rules are compiled as soon as the validator is there. */
  readonly #waiting = new Set<DescMethod>();
  /** What is wrong with the rules of these. */
  #problems: readonly string[] = [];

  /**
   * @param owner what the options are of, for errors
   * @throws TypeError naming the option that cannot be used
   */
  constructor(owner: string, options: Partial<ValidationOptions>) {
    this.#options = validationOptions(owner, options);
  }

  /**
   * The checks of an rpc; undefined for one without rules, which costs nothing then.
   *
   * @throws SetupError naming rpc and field for a rule that cannot be compiled, once the validator is there
   */
  of(method: DescMethod): RpcChecks | undefined {
    const { requests, responses } = this.#options;
    const hasRequest = requests === "auto" && hasRules(method.input);
    const hasReply = responses === "enforce" && hasRules(method.output);
    if (!hasRequest && !hasReply) return undefined;
    if (this.#book === undefined) this.#waiting.add(method);
    else this.#compile(this.#book, method);
    const { input, output } = method;
    const request = (message: Message): void => this.#loaded.request(input, message);
    const reply = (message: Message): void => this.#loaded.reply(output, message);
    return new LazyChecks(
      () => this.#whenLoaded,
      hasRequest ? [{ by: rulesOfContracts, check: request }] : [],
      hasReply ? reply : undefined,
    );
  }

  /**
   * Loads the validator if an rpc has rules, and compiles them.
   *
   * @throws SetupError naming rpc and field for each rule that cannot be compiled, or the package that is not installed
   */
  async load(): Promise<void> {
    if (this.#waiting.size > 0) await this.#whenLoaded;
    if (this.#problems.length > 0) throw new SetupError(this.#problems.join("\n"));
  }

  get #loaded(): RuleBook {
    if (this.#book === undefined) throw new Error("the rules are not loaded yet");
    return this.#book;
  }

  /** Undefined when there is nothing to wait for. */
  get #whenLoaded(): Promise<void> | undefined {
    if (this.#book !== undefined) return undefined;
    return (this.#loading ??= this.#load());
  }

  async #load(): Promise<void> {
    const { RuleBook } = await loadPeer(
      "@bufbuild/protovalidate",
      "the check of messages by the rules of their contract",
      () => import("./rule-book.ts"),
    );
    const book = new RuleBook(this.#options.maxViolations);
    const problems: string[] = [];
    for (const method of this.#waiting) {
      try {
        this.#compile(book, method);
      } catch (error) {
        if (!(error instanceof SetupError)) throw error;
        problems.push(error.message); // Calls of this rpc are INTERNAL where no start has refused it.
      }
    }
    this.#waiting.clear();
    this.#problems = problems;
    this.#book = book;
  }

  #compile(book: RuleBook, method: DescMethod): void {
    const { requests, responses } = this.#options;
    if (requests === "auto") book.compile(method.input, rpcName(method));
    if (responses === "enforce") book.compile(method.output, rpcName(method));
  }
}

/** Checks whose validator may still have to be loaded. */
class LazyChecks implements RpcChecks {
  readonly requests: readonly RequestCheck[];
  readonly reply: RpcChecks["reply"];
  readonly #ready: () => Promise<void> | undefined;

  constructor(
    ready: () => Promise<void> | undefined,
    requests: readonly RequestCheck[],
    reply: RpcChecks["reply"],
  ) {
    this.#ready = ready;
    this.requests = requests;
    this.reply = reply;
  }

  get ready(): Promise<void> | undefined {
    return this.#ready();
  }
}
