import type { EventFilter } from "./filter.ts";
import { SlowConditions } from "./slow-conditions.ts";

/** What is found by its filter. */
export interface Indexed {
  readonly filter: EventFilter;
}

/** Subscriptions whose filters are equal: what holds for one of them holds for all. */
export interface Alike<S extends Indexed> {
  readonly filter: EventFilter;
  /** How long the condition of the filter takes; undefined without one. */
  readonly slow: SlowConditions | undefined;
  /** At least one. */
  readonly subscriptions: readonly S[];
}

interface Group<S extends Indexed> extends Alike<S> {
  readonly subscriptions: S[];
}

/**
 * Subscriptions by the types of events that they can match, so that only those are looked at. Those with equal filters
 * stand together, so that a filter is in memory once, and is computed once for an event.
 */
export class SubscriptionIndex<S extends Indexed> {
  readonly #byKey = new Map<string, Group<S>>();
  readonly #byType = new Map<string, Group<S>[]>();
  readonly #ofAnyType: Group<S>[] = [];

  /** What to keep of a filter: the equal one that there is, if there is one. */
  shared(filter: EventFilter): EventFilter {
    return this.#byKey.get(filter.key)?.filter ?? filter;
  }

  add(subscription: S): void {
    const { filter } = subscription;
    const known = this.#byKey.get(filter.key);
    if (known !== undefined) {
      known.subscriptions.push(subscription);
      return;
    }
    const slow = filter.hasCondition ? new SlowConditions() : undefined;
    const group = { filter, slow, subscriptions: [subscription] };
    this.#byKey.set(filter.key, group);
    if (filter.types === undefined) this.#ofAnyType.push(group);
    else for (const type of filter.types) this.#of(type).push(group);
  }

  /** One that is not there is no error. */
  remove(subscription: S): void {
    const { key, types } = subscription.filter;
    const group = this.#byKey.get(key);
    if (group === undefined) return;
    takeOut(group.subscriptions, subscription);
    if (group.subscriptions.length > 0) return;
    this.#byKey.delete(key);
    if (types === undefined) takeOut(this.#ofAnyType, group);
    for (const type of types ?? []) {
      const some = this.#of(type);
      takeOut(some, group);
      if (some.length === 0) this.#byType.delete(type);
    }
  }

  /** Calls `look` with those that an event of this type can match. */
  eachCandidate(type: string, look: (alike: Alike<S>) => void): void {
    this.#byType.get(type)?.forEach(look);
    this.#ofAnyType.forEach(look);
  }

  #of(type: string): Group<S>[] {
    let some = this.#byType.get(type);
    if (some === undefined) {
      some = [];
      this.#byType.set(type, some);
    }
    return some;
  }
}

function takeOut<T>(list: T[], item: T): void {
  const place = list.indexOf(item);
  if (place >= 0) list.splice(place, 1);
}
