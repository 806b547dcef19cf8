/** Takes the items of a `PushSource`. */
export interface PushSink {
  /** @returns whether it takes another item now; else it calls `resume` of the source when it does */
  take(item: unknown): boolean;
  /** There are no more items. */
  ended(): void;
  failed(reason: unknown): void;
}

/**
 * The iterator of a source that knows when it has an item. A stream whose consumer takes items by a function has them
 * handed over: without a promise, a queue or a step of the iterator for each. Any other consumer calls `next()`.
 */
export interface PushSource<T = unknown> extends AsyncIterator<T, undefined, undefined> {
  readonly [pushesItems]: true;
  /** Hands items to `sink` from now on, those that there are and each further one as it comes; called once, without `next()`. */
  push(sink: PushSink): void;
  /** The sink takes items again. */
  resume(): void;
}

/** The property by which a `PushSource` is known. */
export const pushesItems: unique symbol = Symbol("pushesItems");

/** Whether an iterator hands its items over. */
export function isPushSource(iterator: AsyncIterator<unknown>): iterator is PushSource {
  return pushesItems in iterator;
}
