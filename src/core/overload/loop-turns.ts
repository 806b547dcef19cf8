/** A call that waits for a later turn. */
interface Waiting {
  readonly sinceMs: number;
  readonly enter: (waitedMs: number) => boolean;
}

/** What turns of the event loop need. */
export interface LoopTurnsParts {
  /** Calls a function once what has arrived from the network is handled. */
  readonly afterTurn: (fn: () => void) => void;
  readonly nowMs: () => number;
  /** Is told how many calls a turn has let in, and for how many milliseconds these have kept the event loop. */
  readonly ended: (calls: number, ms: number) => void;
}

/**
 * The turns of the event loop, as far as calls take part in them: what arrives together is handled in one turn, and
 * nothing else meanwhile. Calls for which a turn has no time left wait, the oldest first, and each later turn lets one in:
 * between them the process answers what is not refused, such as questions for its health.
 */
export class LoopTurns {
  /** Calls that this turn has let in. */
  calls = 0;
  readonly #parts: LoopTurnsParts;
  readonly #end: () => void;
  readonly #waiting: Waiting[] = [];
  #startMs: number | undefined;

  constructor(parts: LoopTurnsParts) {
    this.#parts = parts;
    this.#end = () => this.#ended();
  }

  /** How many calls wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** How long the oldest of them has waited, in milliseconds; 0 for none. */
  waitedMs(nowMs: number): number {
    const [oldest] = this.#waiting;
    return oldest === undefined ? 0 : nowMs - oldest.sinceMs;
  }

  /** How long the calls of this turn have kept the event loop, in milliseconds. The first that asks begins it. */
  lastedMs(nowMs: number): number {
    if (this.#startMs === undefined) {
      this.#startMs = nowMs;
      this.#parts.afterTurn(this.#end);
    }
    return nowMs - this.#startMs;
  }

  /** Lets a call wait for a later turn. @param enter lets it in; returns false where it does not */
  wait(nowMs: number, enter: (waitedMs: number) => boolean): void {
    this.lastedMs(nowMs);
    this.#waiting.push({ sinceMs: nowMs, enter });
  }

  #ended(): void {
    const { nowMs, ended } = this.#parts;
    const endMs = nowMs();
    const lastedMs = endMs - (this.#startMs ?? endMs);
    const { calls } = this;
    this.#startMs = undefined;
    this.calls = 0;
    ended(calls, lastedMs);
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (next.enter(endMs - next.sinceMs)) break; // It begins when this function has returned.
    }
    if (this.#waiting.length > 0) this.lastedMs(endMs);
  }
}
