import { setImmediate as nextTurn } from "node:timers/promises";
import { notify } from "../../core/call/observer.ts";

/** How many items are looked at between two looks at the clock. */
const sliceSize = 64;
/** How long items are looked at in one turn of the event loop, in milliseconds. */
const turnMs = 5;

/** Lets the event loop go on after some milliseconds of work on many items. */
export class Turns {
  readonly #nowMs: () => number;
  #beganMs: number;
  #count = 0;

  /** @param nowMs milliseconds since an arbitrary moment */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#beganMs = nowMs();
  }

  /** To be asked behind every item. @returns a promise where the next one has to wait for the next turn */
  next(): Promise<void> | undefined {
    if (++this.#count % sliceSize !== 0 || this.#nowMs() - this.#beganMs < turnMs) return undefined;
    return nextTurn().then(() => {
      this.#beganMs = this.#nowMs();
    });
  }
}

/**
 * Does pieces of work one behind the other, some milliseconds of them in each turn of the event loop. A piece is a generator
 * that yields behind each of its items; what it throws ends this piece alone, as a warning of the process.
 */
export class OrderedWork {
  #pieces: Iterator<unknown>[] = [];
  #isBusy = false;

  /** Begins it at once, where nothing is before it. */
  add(piece: Iterator<unknown>): void {
    this.#pieces.push(piece);
    if (!this.#isBusy) void this.#run();
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#isBusy = true;
    const pace = new Turns();
    while (this.#pieces.length > 0) {
      const pieces = this.#pieces;
      this.#pieces = [];
      for (const piece of pieces) {
        while (goesOn(piece)) {
          const turn = pace.next();
          if (turn !== undefined) await turn;
        }
      }
    }
    this.#isBusy = false;
  }
}

function goesOn(piece: Iterator<unknown>): boolean {
  let goes = false;
  notify([piece], () => {
    goes = piece.next().done !== true;
  });
  return goes;
}

/** Calls `visit` with every item; the event loop goes on after some milliseconds. */
export async function turns<T>(items: Iterable<T>, visit: (item: T) => void): Promise<void> {
  const pace = new Turns();
  for (const item of items) {
    visit(item);
    const turn = pace.next();
    if (turn !== undefined) await turn;
  }
}
