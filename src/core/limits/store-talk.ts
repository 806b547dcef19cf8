import type { BoundLimit } from "./bound-limit.ts";
import type { StoredPart } from "./limit.ts";
import type { LimitStore, StoreAnswer, StoreRequest } from "./store.ts";

/** What the store is asked for a call. */
export interface StoreQuestion {
  readonly bound: BoundLimit;
  readonly stored: StoredPart;
  /** The hash of the key, in two halves. */
  readonly high: number;
  readonly low: number;
  readonly request: StoreRequest;
}

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
  async fetch(questions: readonly StoreQuestion[]): Promise<void> {
    await Promise.all(
      questions.map(async ({ bound, stored, high, low, request }) => {
        try {
          const verdict = await stored.leases?.fetch(request.key, high, low, request.least);
          this.#answers.set(bound, verdict ?? "away");
        } catch {
          this.#answers.set(bound, "away");
        }
      }),
    );
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
  giveUp(questions: readonly StoreQuestion[]): void {
    for (const { bound } of questions) this.#answers.set(bound, "away");
  }

  /** The call was refused: gives back what the store has granted it. */
  giveBack(): void {
    this.#undo?.();
  }
}
