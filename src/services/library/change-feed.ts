import { Code, ConnectError } from "../../core/errors/errors.ts";

/** State of a feed: open, closed, or ended because its queue was full. */
type FeedState = { readonly kind: "open" } | { readonly kind: "closed" } | { readonly kind: "overflown" };

/** A bounded queue between a producer that never waits and one slow reader. It can be read once. */
export class ChangeFeed<T> {
  readonly #limit: number;
  readonly #items: T[] = [];
  #state: FeedState = { kind: "open" };
  #wake: (() => void) | undefined;

  /** @param limit Most items in the queue; one more ends the feed with RESOURCE_EXHAUSTED. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  push(item: T): void {
    if (this.#state.kind !== "open") return;
    if (this.#items.length < this.#limit) this.#items.push(item);
    else this.#state = { kind: "overflown" };
    this.#wake?.();
  }

  /** Ends the feed; the reader still gets the queued items. */
  close(): void {
    if (this.#state.kind === "open") this.#state = { kind: "closed" };
    this.#wake?.();
  }

  /** @throws ConnectError RESOURCE_EXHAUSTED after the last queued item, if the queue was full. */
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
