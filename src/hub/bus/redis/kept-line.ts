import type { RedisLine } from "../../../core/redis/line.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { Pauses } from "../../../core/time/pauses.ts";

/** With what a line is kept. */
export interface KeptLineInit {
  readonly clock: Clock;
  /** @param lost to be called once, when the connection is no more */
  readonly open: (lost: () => void) => Promise<RedisLine>;
  /** What is done before the line can be used; where it fails the line is made anew. */
  readonly prepare: (line: RedisLine) => Promise<void>;
  /** The line can be used, or not any more. */
  readonly changed: () => void;
}

/** Pauses between attempts to connect: at most one in about five seconds. */
const backoff = { initialMs: 100, maxMs: 4_800, multiplier: 2, jitter: 0.04 };
/** How long a connection has to live until the next pause is the first one again, in milliseconds. */
const stableMs = 100;

/** A connection to Redis that is made again whenever it is lost, until it is closed. */
export class KeptLine {
  readonly #init: KeptLineInit;
  readonly #pauses = new Pauses(backoff);
  #line: RedisLine | undefined;
  #isClosed = true;
  #drop: (() => void) | undefined;
  /** Resolves when the next attempt is due. */
  #wake: (() => void) | undefined;

  constructor(init: KeptLineInit) {
    this.#init = init;
  }

  /** Undefined while there is none that can be used. */
  get line(): RedisLine | undefined {
    return this.#line;
  }

  start(): void {
    if (!this.#isClosed) return;
    this.#isClosed = false;
    void this.#keep();
  }

  /** The connection is made anew: it brings nothing. */
  replace(): void {
    this.#drop?.();
  }

  /** The next attempt is due at once. */
  retry(): void {
    this.#wake?.();
  }

  close(): void {
    this.#isClosed = true;
    this.#drop?.();
    this.#wake?.();
  }

  async #keep(): Promise<void> {
    const { clock, changed } = this.#init;
    while (!this.#isClosed) {
      const beganMs = clock.nowMs();
      await this.#live();
      if (this.#line !== undefined) {
        this.#line = undefined;
        if (clock.nowMs() - beganMs > stableMs) this.#pauses.reset();
        changed();
      }
      if (!this.#isClosed) await this.#pause();
    }
  }

  /** One connection, until it is lost. Never rejects. */
  async #live(): Promise<void> {
    const { open, prepare, changed } = this.#init;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const opening = open(resolve);
    this.#drop = resolve;
    try {
      const line = await Promise.race([opening, over.then(() => undefined)]);
      if (line === undefined) return;
      await Promise.race([
        prepare(line),
        over.then(() => {
          throw new Error("it is lost");
        }),
      ]);
      if (this.#isClosed) return;
      this.#line = line;
      changed();
      await over;
    } catch {
      // The next attempt follows.
    } finally {
      this.#drop = undefined;
      opening.then((line) => line.close()).catch(() => {});
    }
  }

  async #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#init.clock.after(this.#pauses.nextMs(), resolve, false);
    this.#wake = resolve;
    await promise;
    this.#wake = undefined;
    cancel();
  }
}
