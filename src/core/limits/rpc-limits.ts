import type { ConnectError } from "@connectrpc/connect";
import type { CallHead } from "../admission/call-head.ts";
import { BoundLimit, type Part } from "./bound-limit.ts";
import type { CallClock } from "./call-clock.ts";
import { setResponseField, whenCallEnds } from "../call/gate-context.ts";
import { policiesOf, sortTightestFirst, writeLimitHeaders, type Left } from "./headers.ts";
import type { KeyedHash } from "./keyed-hash.ts";
import type { ConcurrentLimit, Limit, RateLimit, StoredPart } from "./limit.ts";
import { overLimit, storeAway } from "./refuse.ts";
import { batchOf, keyOf, questionOf, type BatchQuestion, type StoreQuestion } from "./store-question.ts";
import { StoreTalk } from "./store-talk.ts";
import { Taken, takenKey } from "./taken.ts";

/** Numbers of `KeyedHash.save`. */
const begunNumbers = 5;

/** How often a call asks the store while others take what it was given; then it is decided without it. */
const maxTalks = 4;

/**
 * The limits of one rpc that are asked at one place: before the caller is known, or behind that. A call is looked at by
 * all of them, and counted by all or by none.
 */
export class RpcLimits {
  readonly #limits: readonly BoundLimit[];
  /** The same, the tightest first: in the order of the call before, which is almost that of the next one. */
  readonly #tightest: BoundLimit[];
  /** `RateLimit-Policy` of those in that order; undefined until it is needed. */
  #policies: string | undefined;
  /** A limit of each different key. */
  readonly #keys: readonly Limit[];
  readonly #hash: KeyedHash;
  readonly #clock: CallClock;
  /** The halves of the hashes of the keys. */
  readonly #hashes: Int32Array;
  /** The beginnings of the hashes, which are the same for all calls of the rpc. */
  readonly #begun: Int32Array;
  /** Whether those are there, and the hashes that are the same as a whole. */
  #isHashed = false;
  /** Whether limits of another place follow, or have gone before. */
  readonly #follows: boolean;
  readonly #isSecond: boolean;

  constructor(
    limits: readonly Limit[],
    costOfRpc: number,
    { hash, clock }: { readonly hash: KeyedHash; readonly clock: CallClock },
    place: { readonly follows: boolean; readonly isSecond: boolean },
  ) {
    const keys: Limit[] = [];
    this.#limits = limits.map((limit) => {
      let at = keys.findIndex(({ key }) => key.text === limit.key.text);
      if (at < 0) at = keys.push(limit) - 1;
      return new BoundLimit(limit, costOfRpc, at);
    });
    this.#tightest = [...this.#limits];
    this.#keys = keys;
    this.#hash = hash;
    this.#clock = clock;
    this.#hashes = new Int32Array(2 * keys.length);
    this.#begun = new Int32Array(begunNumbers * keys.length);
    this.#follows = place.follows;
    this.#isSecond = place.isSecond;
  }

  /** @throws ConnectError for a call that is over a limit */
  admit(call: CallHead): void | Promise<void> {
    const before = this.#isSecond ? call.context.values.get(takenKey) : undefined;
    if (!this.#look(call, undefined, before)) return this.#ask(call, before);
    this.#take(call, before);
  }

  /** Looks at a call. @returns whether the call can be counted now; else the store has to be asked */
  #look(call: CallHead, talk: StoreTalk | undefined, before: Taken | undefined): boolean {
    this.#hashKeys(call);
    this.#clock.next();
    let canTake = true;
    let worst: BoundLimit | undefined;
    for (const bound of this.#limits) {
      const { limit, verdict } = bound;
      bound.part = "off";
      bound.isDegraded = false;
      if (!limit.appliesTo(call)) continue;
      bound.high = this.#hashes[2 * bound.hash] ?? 0;
      bound.low = this.#hashes[2 * bound.hash + 1] ?? 0;
      bound.part = limit.kind === "rate" ? lookAtRate(bound, limit, talk) : lookAtOpen(bound, limit);
      if (bound.part === "denied") throw this.#deniedBy(bound, before);
      if (bound.part === "ask" || bound.part === "fetch") {
        canTake = false;
      } else if (bound.part !== "off" && !verdict.allowed) {
        bound.part = "over";
        if (!limit.isShadow && verdict.retryMs >= (worst?.verdict.retryMs ?? 0)) worst = bound;
      }
      bound.remaining = Math.max(0, verdict.remaining);
      bound.resetMs = limit.kind === "rate" ? verdict.resetMs : undefined;
    }
    if (worst !== undefined) throw this.#refused(worst, before);
    return canTake;
  }

  #refused({ limit, verdict }: BoundLimit, before: Taken | undefined): ConnectError {
    limit.counts.refused++;
    before?.giveBack();
    return overLimit(limit, verdict.retryMs, this.#left(before));
  }

  /** All limits of the call that was looked at, of this place and of the one before. */
  #left(before: Taken | undefined): Left[] {
    const left: Left[] = before === undefined ? [] : [...before.left];
    for (const bound of this.#limits) if (isShown(bound)) left.push(bound);
    return left;
  }

  #hashKeys(call: CallHead): void {
    const hash = this.#hash;
    for (let at = 0; at < this.#keys.length; at++) {
      const key = this.#keys[at]?.key;
      if (key === undefined || (this.#isHashed && key.isOfRpc)) continue;
      if (this.#isHashed) {
        hash.resume(this.#begun, begunNumbers * at);
      } else {
        hash.begin();
        key.writeFixed(call, hash);
        hash.save(this.#begun, begunNumbers * at);
      }
      key.writeRest(call, hash);
      hash.end();
      this.#hashes[2 * at] = hash.high;
      this.#hashes[2 * at + 1] = hash.low;
    }
    this.#isHashed = true;
  }

  /** Counts the call that was looked at. */
  #take(call: CallHead, before: Taken | undefined, talk?: StoreTalk): void {
    let isAnyShown = before !== undefined && before.left.length > 0;
    for (const bound of this.#limits) {
      if (bound.part === "off") continue;
      const { counts } = bound.limit;
      if (bound.part === "over") counts.shadow++;
      else if (bound.isDegraded) counts.degraded++;
      else counts.allowed++;
      take(bound, call);
      if (isShown(bound)) isAnyShown = true;
    }
    if (this.#follows) this.#leave(call, talk);
    if (!isAnyShown) return;
    const { context } = call;
    const shown = before === undefined ? this.#shown() : this.#left(before);
    const policies = shown === this.#tightest ? (this.#policies ??= policiesOf(shown)) : undefined;
    writeLimitHeaders(shown, (name, value) => setResponseField(context, name, value), policies);
  }

  /** Leaves what was counted for the limits that follow, one of which may refuse the call. */
  #leave({ context }: CallHead, talk: StoreTalk | undefined): void {
    const giveBack = talk && ((): void => talk.giveBack());
    const taken = new Taken(this.#limits.filter(isCounted), this.#limits.filter(isShown), giveBack);
    context.values.set(takenKey, taken);
  }

  #shown(): readonly BoundLimit[] {
    const limits = this.#tightest;
    if (sortTightestFirst(limits)) this.#policies = undefined;
    for (const bound of limits) if (!isShown(bound)) return limits.filter(isShown);
    return limits;
  }

  /** Asks the store until the call that was looked at can be counted. */
  async #ask(call: CallHead, before: Taken | undefined): Promise<void> {
    const talk = new StoreTalk();
    try {
      for (let talks = 0; ; talks++) {
        const batches = this.#batches(call);
        if (talks === maxTalks) talk.giveUp(batches);
        else if (batches.length > 0) await talk.fetch(batches);
        else await talk.ask(this.#questions(call));
        if (this.#look(call, talk, before)) break;
      }
    } catch (reason) {
      talk.giveBack();
      throw reason;
    }
    this.#take(call, before, talk);
  }

  #batches(call: CallHead): BatchQuestion[] {
    return this.#limits.filter(({ part }) => part === "fetch").map((bound) => batchOf(bound, call));
  }

  #questions(call: CallHead): StoreQuestion[] {
    return this.#limits.filter(({ part }) => part === "ask").map((bound) => questionOf(bound, call));
  }

  #deniedBy({ limit }: BoundLimit, before: Taken | undefined): ConnectError {
    limit.counts.degraded++;
    before?.giveBack();
    return storeAway(limit);
  }
}

function isShown({ part, limit, headers }: BoundLimit): boolean {
  return part !== "off" && headers !== "off" && !limit.isShadow;
}

function isCounted({ part }: BoundLimit): boolean {
  return part === "local" || part === "lease" || part === "asked";
}

function lookAtOpen(bound: BoundLimit, limit: ConcurrentLimit): Part {
  const { verdict, high, low } = bound;
  verdict.remaining = limit.quota - limit.open.of(high, low);
  verdict.allowed = verdict.remaining >= 1;
  verdict.retryMs = 0;
  return "open";
}

function lookAtRate(bound: BoundLimit, limit: RateLimit, talk: StoreTalk | undefined): Part {
  const { stored } = limit;
  if (stored !== undefined) {
    const part = lookAtStored(bound, stored, talk);
    if (part !== "local") return part;
    bound.isDegraded = true;
    const { onStoreFailure } = limit.options;
    if (onStoreFailure === "deny" && !limit.isShadow) return "denied";
    if (onStoreFailure !== "local") {
      limit.counts.degraded++;
      return "off";
    }
  }
  bound.entry = limit.table.find(bound.high, bound.low);
  limit.rule.look(limit.table, bound.entry, bound.cost, bound.verdict);
  return "local";
}

/** @returns `local` without the store */
function lookAtStored(bound: BoundLimit, { store, leases }: StoredPart, talk: StoreTalk | undefined): Part {
  const answer = talk?.answerOf(bound);
  if (answer === "away") return "local";
  if (leases?.look(bound.high, bound.low, bound.cost, bound.verdict) === true) return "lease";
  if (answer !== undefined) {
    Object.assign(bound.verdict, answer);
    return leases === undefined || !answer.allowed ? "asked" : "fetch";
  }
  if (store.redis.isAway) return "local";
  return leases === undefined ? "ask" : "fetch";
}

function take(bound: BoundLimit, call: CallHead): void {
  const { limit, cost, high, low } = bound;
  bound.remaining = Math.max(
    0,
    bound.remaining - (bound.part === "asked" || bound.part === "over" ? 0 : cost),
  );
  if (limit.kind === "concurrent") {
    if (bound.part !== "open") return;
    const { open } = limit;
    const key = open.enter(high, low);
    whenCallEnds(call.context, () => open.leave(key));
  } else if (bound.part === "local") {
    const { table } = limit;
    if (bound.entry < 0) bound.entry = table.add(high, low);
    else table.use(bound.entry);
    bound.taken = limit.rule.take(table, bound.entry, cost);
  } else if (bound.part === "lease") {
    const { stored } = limit;
    if (stored?.leases?.take(high, low, cost) !== true) return;
    // Fetched ahead, so that no call waits; what fails here is found out by the call that needs it.
    stored.leases.fetch(() => keyOf(limit, stored, call), high, low, 1).catch(() => {});
  }
}
