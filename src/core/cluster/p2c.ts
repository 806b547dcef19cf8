import type { EndpointLoad } from "./endpoint-load.ts";
import { meanWeight, type Candidate, type Picker } from "./picker.ts";
import { PickOrder } from "./pick-order.ts";
import { WeightedChoice } from "./weighted-choice.ts";

/** A difference of scores below this factor is chance: it must not empty endpoints that are equal. */
const clearlyLess = 0.8;

/** An endpoint without an attempt for so long gets the next one, in milliseconds: its figures are old. */
const unusedMs = 5_000;

/** An endpoint that is unused for so long is in use, in milliseconds. */
const usedMs = 100;

/** Time constant by which the lag of an unused endpoint is forgotten, in milliseconds: it may be better by now. */
const forgottenOverMs = 1_000;

/**
 * The power of two choices: of two endpoints by chance, the one that is clearly less loaded by its calls in flight, its
 * lag and its failures, else the one with fewer calls in flight.
 *
 * The chance of an endpoint is its weight, and calls in flight count relative to it.
 */
export class P2c<C extends Candidate> implements Picker<C> {
  readonly #random: () => number;
  #candidates: readonly C[] = [];
  #choice: WeightedChoice;
  #order = new PickOrder(0);
  #meanWeight = 1;

  /** @param random returns numbers from 0 to 1, without 1 */
  constructor(random: () => number) {
    this.#random = random;
    this.#choice = new WeightedChoice([], random);
  }

  update(candidates: readonly C[], nowMs: number): void {
    this.#candidates = candidates.toSorted((one, other) => one.load.pickedMs - other.load.pickedMs);
    this.#order = new PickOrder(candidates.length);
    const weights = this.#candidates.map(({ weight }) => weight);
    this.#choice = new WeightedChoice(weights, this.#random);
    this.#meanWeight = meanWeight(candidates);
    const lags = candidates.flatMap(({ load }) => load.lagMs ?? []).toSorted((one, other) => one - other);
    const median = lags[Math.floor(lags.length / 2)];
    if (median !== undefined) for (const { load } of candidates) load.assumeLag(median, nowMs);
  }

  pick(nowMs: number): C | undefined {
    const index = this.#pickIndex(nowMs);
    const picked = this.#candidates[index];
    if (picked !== undefined) this.#order.moveToEnd(index);
    return picked;
  }

  #pickIndex(nowMs: number): number {
    const candidates = this.#candidates;
    if (candidates.length < 2) return 0;
    const first = this.#order.first;
    if (nowMs - (candidates[first]?.load.pickedMs ?? nowMs) > unusedMs) return first;
    const index = this.#choice.next();
    const otherIndex = this.#choice.other(index);
    const one = candidates[index];
    const other = candidates[otherIndex];
    if (one === undefined || other === undefined) return 0; // Not so: both are indices of candidates.
    const oneLagMs = lagBeside(one.load, other.load, nowMs);
    const otherLagMs = lagBeside(other.load, one.load, nowMs);
    const oneCalls = one.load.inFlight * (this.#meanWeight / one.weight);
    const otherCalls = other.load.inFlight * (this.#meanWeight / other.weight);
    const oneScore = score(oneCalls, oneLagMs, one.load, nowMs);
    const otherScore = score(otherCalls, otherLagMs, other.load, nowMs);
    if (oneScore < clearlyLess * otherScore) return index;
    if (otherScore < clearlyLess * oneScore) return otherIndex;
    return otherCalls < oneCalls ? otherIndex : index;
  }
}

/** The lag of an endpoint: that of the other if it is not known, and the more so the longer it is unused. */
function lagBeside(load: EndpointLoad, other: EndpointLoad, nowMs: number): number {
  const otherLagMs = other.lagMs ?? load.lagMs ?? 0;
  const lagMs = load.lagMs ?? otherLagMs;
  const idleMs = load.inFlight === 0 ? nowMs - load.pickedMs : 0;
  if (idleMs < usedMs) return lagMs;
  return otherLagMs + (lagMs - otherLagMs) * Math.exp(-idleMs / forgottenOverMs);
}

/** What an attempt on an endpoint costs: the less, the better. */
function score(calls: number, lagMs: number, load: EndpointLoad, nowMs: number): number {
  const success = Math.max(load.success, 0.1);
  let slowMs = Math.max(lagMs, 1);
  const oldestMs = load.oldestMs(nowMs);
  // Of many attempts in flight the oldest is old on an endpoint that is well, too.
  if (oldestMs > slowMs) slowMs = Math.max(slowMs, oldestMs / (1 + Math.log(load.inFlight)));
  return ((calls + 1) * slowMs) / (success * success);
}
