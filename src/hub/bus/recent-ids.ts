/** The ids that were published within a time, and what became of them. */
export class RecentIds<T> {
  /** The oldest one first. */
  readonly #known = new Map<string, { readonly untilMs: number; readonly value: T }>();

  get size(): number {
    return this.#known.size;
  }

  /** What an id was used for; undefined for a new one, or one whose time is over. */
  find(id: string, nowMs: number): T | undefined {
    const known = this.#known.get(id);
    return known !== undefined && known.untilMs > nowMs ? known.value : undefined;
  }

  /** An id is known for a time. */
  add(id: string, value: T, nowMs: number, keepMs: number): void {
    this.forget(nowMs);
    this.#known.delete(id); // It goes to the end.
    this.#known.set(id, { untilMs: nowMs + keepMs, value });
  }

  /** Those whose time is not over, the oldest one first, with the time that each has left. */
  *known(nowMs: number): Iterable<{ readonly id: string; readonly value: T; readonly leftMs: number }> {
    for (const [id, { untilMs, value }] of this.#known)
      if (untilMs > nowMs) yield { id, value, leftMs: untilMs - nowMs };
  }

  /** Forgets those whose time is over. */
  forget(nowMs: number): void {
    for (const [id, { untilMs }] of this.#known) {
      if (untilMs > nowMs) break;
      this.#known.delete(id);
    }
  }
}
