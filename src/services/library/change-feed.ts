import { Code, ConnectError } from "../../core/errors/errors.ts";

/** How an iteration of a feed stands: waiting items, a reader waiting for one, or the end. */
type FeedState = { readonly kind: "open" } | { readonly kind: "closed" } | { readonly kind: "overflown" };

/** Items from somebody who cannot wait, for one reader who takes his time: a bounded queue that is read once. */
export class ChangeFeed<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #state: FeedState = { kind: "open" };
  #wake: (() => void) | undefined;

  /** @param limit How many items may wait; one more ends the feed with RESOURCE_EXHAUSTED. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  push(item: T): void {
    if (this.#state.kind !== "open") return;
    if (this.#items.length < this.#limit) this.#items.push(item);
    else this.#state = { kind: "overflown" };
    this.#wake?.();
  }

  /** Ends the feed; what waits is still read. */
  close(): void {
    if (this.#state.kind === "open") this.#state = { kind: "closed" };
    this.#wake?.();
  }

  /** @throws ConnectError RESOURCE_EXHAUSTED after the last item that fitted, if one did not. */
  async *read(): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) {
        yield item;
      } else if (this.#state.kind === "overflown") {
        throw new ConnectError("the reader fell too far behind", Code.ResourceExhausted);
      } else if (this.#state.kind === "closed") {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
