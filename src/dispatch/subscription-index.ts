import type { EventFilter } from "./filter.ts";

/** What is found by the type of an event. */
export interface Indexed {
  readonly filter: Pick<EventFilter, "types">;
}

/** Subscriptions by the types of events that they can match, so that only those are looked at. */
export class SubscriptionIndex<S extends Indexed> {
  readonly #byType = new Map<string, Set<S>>();
  readonly #ofAnyType = new Set<S>();

  add(subscription: S): void {
    const { types } = subscription.filter;
    if (types === undefined) this.#ofAnyType.add(subscription);
    else for (const type of types) this.#of(type).add(subscription);
  }

  remove(subscription: S): void {
    this.#ofAnyType.delete(subscription);
    for (const type of subscription.filter.types ?? []) {
      const some = this.#byType.get(type);
      some?.delete(subscription);
      if (some?.size === 0) this.#byType.delete(type);
    }
  }

  /** Those that an event of this type can match. */
  *candidates(type: string): Generator<S, void, undefined> {
    yield* this.#byType.get(type) ?? [];
    yield* this.#ofAnyType;
  }

  #of(type: string): Set<S> {
    let some = this.#byType.get(type);
    if (some === undefined) {
      some = new Set();
      this.#byType.set(type, some);
    }
    return some;
  }
}
