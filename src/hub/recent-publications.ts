/** The ids that were published within a time. */
export class RecentPublications {
  /** When each is forgotten, the first one first. */
  readonly #untilMs = new Map<string, number>();
  readonly #keepMs: number;

  constructor(keepMs: number) {
    this.#keepMs = keepMs;
  }

  get size(): number {
    return this.#untilMs.size;
  }

  /** Whether an id is new; it is known from now on. */
  add(room: string, id: string, nowMs: number): boolean {
    for (const [key, untilMs] of this.#untilMs) {
      if (untilMs > nowMs) break;
      this.#untilMs.delete(key);
    }
    const key = `${room}/${id}`;
    if (this.#untilMs.has(key)) return false;
    this.#untilMs.set(key, nowMs + this.#keepMs);
    return true;
  }
}
