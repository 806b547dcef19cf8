import type { BoundLimit } from "./bound-limit.ts";
import type { BatchQuestion, StoreQuestion } from "./store-question.ts";
import type { LimitStore, StoreAnswer } from "./store.ts";

/** `away` where the store cannot be reached. */
export type Answer = Omit<StoreAnswer, "granted"> | "away";

/** What the store has said of one call, so far. */
export class StoreTalk {
  readonly #answers = new Map<BoundLimit, Answer>();
  #undo: (() => void) | undefined;

  /** Undefined before it was asked. */
  answerOf(bound: BoundLimit): Answer | undefined {
    return this.#answers.get(bound);
  }

  /** Fetches the batches of limits. Never rejects. */
  async fetch(questions: readonly BatchQuestion[]): Promise<void> {
    const [first] = questions;
    if (first !== undefined && questions.length === 1) await this.#fetchOne(first);
    else await Promise.all(questions.map((question) => this.#fetchOne(question)));
  }

  async #fetchOne({ bound, leases, key, high, low, least }: BatchQuestion): Promise<void> {
    try {
      this.#answers.set(bound, await leases.fetch(key, high, low, least));
    } catch {
      this.#answers.set(bound, "away");
    }
  }

  /** Asks about the call, by one script for all of its limits. Never rejects. */
  async ask(questions: readonly StoreQuestion[]): Promise<void> {
    const store: LimitStore | undefined = questions[0]?.stored.store;
    if (store === undefined) return;
    const requests = questions.map(({ request }) => request);
    try {
      const answers = await store.take(requests);
      for (const [at, { bound }] of questions.entries()) this.#answers.set(bound, answers[at] ?? "away");
      this.#undo = () => store.giveBack(requests, answers);
    } catch {
      this.giveUp(questions);
    }
  }

  /** Goes on as if the store could not be reached. */
  giveUp(questions: readonly Pick<StoreQuestion, "bound">[]): void {
    for (const { bound } of questions) this.#answers.set(bound, "away");
  }

  /** The call was refused: gives back what the store has granted it. */
  giveBack(): void {
    this.#undo?.();
  }
}
