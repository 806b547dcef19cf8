import { type Live, LiveSet } from "../core/call/live-set.ts";
import type { Clock } from "../core/time/clock.ts";

/** What becomes of an item when its run has ended: it leaves its lane, or is run again after a time. */
export type Then = "done" | { readonly againAfterMs: number };

/** What lanes are made of. */
export interface LanesParts<T> {
  readonly clock: Clock;
  /** Most lanes that run at once. */
  readonly concurrency: number;
  /** Begins a run. `ended` must be called once, now or later. */
  readonly run: (item: T, ended: (then: Then) => void) => void;
  /** Whether a run may begin now; asked before each. Where not, `wake` must be called as soon as one may. */
  readonly mayRun: () => boolean;
  /** Called with an item that would have to run again after `close`. */
  readonly left: (item: T) => void;
}

/** Items that run one after another. */
interface Lane<T> extends Live {
  /** Lanes with smaller numbers are older. */
  readonly number: number;
  /** Undefined for a lane of one item. */
  readonly key: string | undefined;
  /** The first one runs, is held, or is the next. */
  readonly items: T[];
  state: "ready" | "running" | "held";
  /** Ends the wait of a held lane. */
  unhold: (() => void) | undefined;
}

/**
 * Runs items in lanes: those of one key one after another, in the order in which they came; others at once. Lanes that
 * have something to run take turns.
 *
 * ```
 *   add ──▶ ready ────────▶ running ──▶ done: ready again with the next item, or gone
 *             ▲                │
 *             └──── held ◀─────┘ again after a time
 * ```
 *
 * A held lane takes no place of those that run.
 */
export class Lanes<T> {
  readonly #parts: LanesParts<T>;
  readonly #keyed = new Map<string, Lane<T>>();
  /** All lanes, keyed or not. */
  readonly #all = new LiveSet<Lane<T>>();
  readonly #ready: Lane<T>[] = [];
  #last = 0;
  #running = 0;
  #held = 0;
  #isClosed = false;
  #isPumping = false;

  constructor(parts: LanesParts<T>) {
    this.#parts = parts;
  }

  /** How many items run. */
  get running(): number {
    return this.#running;
  }

  /** How many lanes wait for the time of their next run. */
  get held(): number {
    return this.#held;
  }

  /** How many items there are, those that run too. */
  get size(): number {
    let size = 0;
    for (const { items } of this.#all) size += items.length;
    return size;
  }

  /** Adds an item behind the others of its key. @param key undefined for an item that waits for no other */
  add(key: string | undefined, item: T): void {
    const known = key === undefined ? undefined : this.#keyed.get(key);
    if (known !== undefined) {
      known.items.push(item);
      return;
    }
    const number = ++this.#last;
    const lane: Lane<T> = { key, items: [item], state: "ready", unhold: undefined, number, livePlace: -1 };
    if (key !== undefined) this.#keyed.set(key, lane);
    this.#all.add(lane);
    this.#ready.push(lane);
    this.wake();
  }

  /** Begins the runs that may begin. */
  wake(): void {
    if (this.#isPumping) return; // A run that ends at once comes back here.
    this.#isPumping = true;
    while (!this.#isClosed && this.#running < this.#parts.concurrency) {
      const lane = this.#ready[0];
      if (lane === undefined || !this.#parts.mayRun()) break;
      this.#ready.shift();
      this.#start(lane);
    }
    this.#isPumping = false;
  }

  /** Begins no more runs. What runs may end; the rest waits for `take`. */
  close(): void {
    this.#isClosed = true;
  }

  /**
   * Takes items out that do not run, and are not to be run here.
   *
   * @param isTaken whether an item is taken; all behind it in its lane are then, too
   * @returns them, those of one lane in their order
   */
  take(isTaken: (item: T) => boolean): T[] {
    const taken: T[] = [];
    for (const lane of this.#oldestFirst()) {
      const from = lane.items.findIndex(
        (item, place) => (place > 0 || lane.state !== "running") && isTaken(item),
      );
      if (from < 0) continue;
      taken.push(...lane.items.splice(from));
      if (lane.items.length === 0) this.#remove(lane);
    }
    return taken;
  }

  /** As `take`, without those behind them. */
  takeOnly(isTaken: (item: T) => boolean): T[] {
    const taken: T[] = [];
    for (const lane of this.#oldestFirst()) {
      const first = lane.items[0];
      for (let place = lane.items.length - 1; place >= 0; place--) {
        const item = lane.items[place];
        if (item === undefined || (place === 0 && lane.state === "running") || !isTaken(item)) continue;
        taken.push(item);
        lane.items.splice(place, 1);
      }
      if (lane.items.length === 0) this.#remove(lane);
      else if (lane.state === "held" && lane.items[0] !== first) this.#release(lane); // The wait was for another.
    }
    return taken;
  }

  #oldestFirst(): Lane<T>[] {
    return [...this.#all].sort((a, b) => a.number - b.number);
  }

  #start(lane: Lane<T>): void {
    const [item] = lane.items;
    if (item === undefined) return;
    lane.state = "running";
    this.#running++;
    this.#parts.run(item, (then) => this.#ended(lane, item, then));
  }

  #ended(lane: Lane<T>, item: T, then: Then): void {
    this.#running--;
    lane.state = "ready";
    if (then === "done") lane.items.shift();
    else if (this.#isClosed) {
      lane.items.shift();
      this.#parts.left(item);
    } else if (then.againAfterMs > 0) this.#hold(lane, then.againAfterMs);
    if (lane.items.length === 0) this.#remove(lane);
    else if (lane.state === "ready") {
      // What was begun comes before lanes that have not.
      if (then === "done") this.#ready.push(lane);
      else this.#ready.unshift(lane);
    }
    this.wake();
  }

  #hold(lane: Lane<T>, ms: number): void {
    lane.state = "held";
    this.#held++;
    const cancel = this.#parts.clock.after(ms, () => this.#release(lane));
    lane.unhold = () => {
      lane.unhold = undefined;
      this.#held--;
      cancel();
    };
  }

  #release(lane: Lane<T>): void {
    lane.unhold?.();
    lane.state = "ready";
    this.#ready.push(lane);
    this.wake();
  }

  #remove(lane: Lane<T>): void {
    lane.unhold?.();
    this.#all.delete(lane);
    if (lane.key !== undefined && this.#keyed.get(lane.key) === lane) this.#keyed.delete(lane.key);
    if (lane.state === "ready") {
      const at = this.#ready.indexOf(lane);
      if (at >= 0) this.#ready.splice(at, 1);
    }
  }
}
