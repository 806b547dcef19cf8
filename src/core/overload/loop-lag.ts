/** How long the lag stays above its target before calls are refused, in milliseconds. */
const intervalMs = 500;
/** The time between two changes of the share, in milliseconds. */
const stepMs = 100;
/**
 * While calls are refused, the lag is held at the time of so many calls, and between this part of the target and all of
 * it: a loop that is never idle needs no more.
 */
const heldCalls = 4;
const heldPart = 0.2;
/** The least lag that is aimed at, in milliseconds: timers themselves are late by as much. */
const leastAimMs = 5;
/** How much of a new measurement counts for the time of a call. */
const callWeight = 0.1;
/** The largest part of what is still let through that one step refuses more, and of the share that it refuses less. */
const growth = 0.25;
const decline = 0.15;
/** A share below this is none. */
const leastShare = 0.01;

/**
 * What the lag of the event loop says about the share of calls to refuse (after CoDel, RFC 8289): once even the least lag
 * of half a second is above the target, the share grows and shrinks each 100 ms, so that the loop has always something to
 * do and never much. One long pause starts nothing: the lag behind it is low.
 */
export class LoopLag {
  readonly #targetMs: number;
  #callMs = 0;
  #share = 0;
  #lagMs = 0;
  /** Since when no lag was below the target; undefined while the last one was. */
  #aboveSinceMs: number | undefined;
  #leastOfStepMs = Number.POSITIVE_INFINITY;
  #stepEndsMs = 0;
  #wasTurnRefused = false;

  constructor(targetMs: number) {
    this.#targetMs = targetMs;
  }

  /** The share of calls to refuse, from 0 to 1. */
  get share(): number {
    return this.#share;
  }

  /** Where the lag is held while calls are refused, in milliseconds. */
  get aimMs(): number {
    const heldMs = Math.max(this.#targetMs * heldPart, this.#callMs * heldCalls);
    return Math.max(leastAimMs, Math.min(this.#targetMs, heldMs));
  }

  /** The latest lag, in milliseconds. */
  get lagMs(): number {
    return this.#lagMs;
  }

  /** Whether the lag is above its target: calls may have to be refused soon. */
  get isAlert(): boolean {
    return this.#aboveSinceMs !== undefined || this.#share > 0;
  }

  /** Takes a lag that was measured at a time, both in milliseconds. @returns whether a step has ended */
  sample(lagMs: number, nowMs: number): boolean {
    this.#lagMs = lagMs;
    if (lagMs < this.#targetMs) this.#aboveSinceMs = undefined;
    else this.#aboveSinceMs ??= nowMs;
    this.#leastOfStepMs = Math.min(this.#leastOfStepMs, lagMs);
    if (nowMs < this.#stepEndsMs) return false;
    this.#step(nowMs);
    this.#leastOfStepMs = Number.POSITIVE_INFINITY;
    this.#stepEndsMs = nowMs + stepMs;
    return true;
  }

  /** So many calls have kept the event loop for a time in milliseconds. */
  served(calls: number, ms: number): void {
    if (calls > 0) this.#callMs += (ms / calls - this.#callMs) * callWeight;
  }

  /** A call was refused because those that came together with it had taken too long: the share is too small. */
  turnRefused(): void {
    this.#wasTurnRefused = true;
  }

  #step(nowMs: number): void {
    const isSustained = this.#aboveSinceMs !== undefined && nowMs - this.#aboveSinceMs >= intervalMs;
    if (this.#share === 0 && !isSustained) return;
    const least = this.#wasTurnRefused ? this.aimMs * 1.25 : 0;
    this.#wasTurnRefused = false;
    const distance = Math.max(-1, Math.min(1, Math.max(least, this.#leastOfStepMs) / this.aimMs - 1));
    const share =
      distance > 0
        ? this.#share + (1 - this.#share) * growth * distance
        : this.#share * (1 + decline * distance);
    this.#share = share < leastShare ? 0 : share;
  }
}
