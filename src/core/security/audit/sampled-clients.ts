/** The most clients that are told apart in a second; further ones count as one. */
const maxClients = 10_000;

/** Lets so many events of each client pass in a second. */
export class SampledClients {
  readonly #perSecond: number;
  #second = 0;
  readonly #taken = new Map<string, number>();

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Whether an event of a client is within its number for this second. */
  takes(client: string, nowMs = performance.now()): boolean {
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken.clear();
    }
    const key = this.#taken.has(client) || this.#taken.size < maxClients ? client : "";
    const taken = this.#taken.get(key) ?? 0;
    if (taken >= this.#perSecond) return false;
    this.#taken.set(key, taken + 1);
    return true;
  }
}
