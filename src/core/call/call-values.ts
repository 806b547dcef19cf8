import type { ContextKey, ContextValues } from "@connectrpc/connect";

/** A value of a call, and the one that was set before it. */
interface Entry {
  readonly id: symbol;
  value: unknown;
  next: Entry | undefined;
}

/**
 * The context values of one call. Gates and interceptors set a few in each call, so they are a short list, which is made
 * faster than an object with a property for each key.
 */
export class CallValues implements ContextValues {
  #first: Entry | undefined;

  get<T>(key: ContextKey<T>): T {
    const entry = this.#find(key.id);
    return entry === undefined ? key.defaultValue : (entry.value as T); // As it was set by a key of this type.
  }

  set<T>(key: ContextKey<T>, value: T): this {
    const entry = this.#find(key.id);
    if (entry === undefined) this.#first = { id: key.id, value, next: this.#first };
    else entry.value = value;
    return this;
  }

  delete(key: ContextKey<unknown>): this {
    let before: Entry | undefined;
    for (let entry = this.#first; entry !== undefined; before = entry, entry = entry.next) {
      if (entry.id !== key.id) continue;
      if (before === undefined) this.#first = entry.next;
      else before.next = entry.next;
      break;
    }
    return this;
  }

  #find(id: symbol): Entry | undefined {
    let entry = this.#first;
    while (entry !== undefined && entry.id !== id) entry = entry.next;
    return entry;
  }
}
