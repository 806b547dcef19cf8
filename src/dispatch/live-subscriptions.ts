import { clone } from "@bufbuild/protobuf";
import { type StoredSubscription, StoredSubscriptionSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { Clock } from "../core/time/clock.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import type { DispatchLog } from "./dispatch-log.ts";
import type { DispatchStore, KeptSubscription } from "./dispatch-store.ts";
import { type CheckedSubscription, LiveSubscription, type OpenTarget } from "./live-subscription.ts";
import { type Alike, SubscriptionIndex } from "./subscription-index.ts";

/** What the subscriptions of a process need. */
export interface LiveParts {
  /** Undefined: there are those of the configuration alone. */
  readonly store: DispatchStore | undefined;
  readonly check: (stored: StoredSubscription) => Promise<CheckedSubscription>;
  readonly open: OpenTarget;
  readonly clock: Clock;
  readonly log: DispatchLog;
  /** Removes what is old. */
  readonly sweep: () => Promise<void>;
  /** Called with what has changed; undefined for one that there was not, or is no more. */
  readonly changed: (before: LiveSubscription | undefined, after: LiveSubscription | undefined) => void;
}

/** How often the store is asked for changes, in milliseconds: others count everywhere within 2 s. */
const pollMs = 1_000;
/** How often a change is tried that others keep overtaking. */
const mostTries = 10;
/** How often what is old is removed, in polls. */
const sweepEach = 600;

/** The owner of those of the configuration: no principal has it. */
export const configured = "configuration";

/** The subscriptions as this process knows them, by their uids and by the types of events. */
export class LiveSubscriptions {
  readonly #parts: LiveParts;
  readonly #byUid = new Map<string, LiveSubscription>();
  readonly #index = new SubscriptionIndex<LiveSubscription>();
  readonly #stopping = new AbortController();
  #since: number | undefined;
  #polls = 0;

  constructor(parts: LiveParts) {
    this.#parts = parts;
  }

  /** All that there are. */
  get all(): IterableIterator<LiveSubscription> {
    return this.#byUid.values();
  }

  /** Calls `look` with those that take events and that an event of this type can match. */
  eachCandidate(type: string, look: (alike: Alike<LiveSubscription>) => void): void {
    this.#index.eachCandidate(type, look);
  }

  /** Adds those of the configuration. @throws SetupError naming what cannot be used */
  async configure(subscriptions: readonly KeptSubscription[]): Promise<void> {
    for (const kept of subscriptions) {
      if (kept.stored === undefined) continue;
      this.#put(kept, kept.stored, await this.check(kept.id, kept.stored));
    }
  }

  /** Checks one of the configuration. @throws SetupError naming it */
  async check(id: string, stored: StoredSubscription): Promise<CheckedSubscription> {
    try {
      return await this.#parts.check(stored);
    } catch (cause) {
      const why = cause instanceof ConnectError ? cause.rawMessage : String(cause);
      throw new SetupError(`EventDispatcher: subscriptions.${id}: ${why}`, { cause });
    }
  }

  /** Loads those of the store, and asks for changes from then on. @throws where the store cannot be asked */
  async start(): Promise<void> {
    if (this.#parts.store === undefined) return;
    await this.#poll(this.#parts.store);
    void this.#watch(this.#parts.store);
  }

  stop(): void {
    this.#stopping.abort();
    for (const each of this.#byUid.values()) each.close();
  }

  /** One by its uid, as it is kept if this process does not know it yet; undefined for none. */
  async find(uid: string): Promise<LiveSubscription | undefined> {
    const known = this.#byUid.get(uid);
    if (known !== undefined || this.#parts.store === undefined) return known;
    const kept = await this.#parts.store.find({ uid });
    if (kept !== undefined) await this.take(kept);
    return this.#byUid.get(uid);
  }

  /** A subscription has been made or changed. */
  async take(kept: KeptSubscription): Promise<void> {
    const { uid, version, stored } = kept;
    if ((this.#byUid.get(uid)?.version ?? 0) >= version) return;
    if (stored === undefined) return this.#drop(uid);
    let checked: CheckedSubscription;
    try {
      checked = await this.#parts.check(stored);
    } catch (reason) {
      // This process knows less than the one that has made it: others deliver its events.
      this.#parts.log.unusable(kept.id, reason);
      return this.#drop(uid);
    }
    if ((this.#byUid.get(uid)?.version ?? 0) < version) this.#put(kept, stored, checked);
  }

  /**
   * Changes a subscription, as it is kept, and here at once.
   *
   * @param change is called with a copy, which it changes; it returns false to leave it as it is
   * @returns what it is then; undefined for one that is no more
   */
  async change(
    uid: string,
    change: (stored: StoredSubscription) => boolean | Promise<boolean>,
  ): Promise<KeptSubscription | undefined> {
    for (let tries = 0; tries < mostTries; tries++) {
      const kept = await this.#kept(uid);
      if (kept?.stored === undefined) return undefined;
      const stored = clone(StoredSubscriptionSchema, kept.stored);
      if (!(await change(stored))) return kept;
      const next = { ...kept, version: kept.version + 1, stored };
      const isOwn = kept.owner === configured;
      if (!isOwn && (await this.#parts.store?.update(next)) !== true) continue;
      await this.take(next);
      return next;
    }
    throw overtaken();
  }

  /** Deletes a subscription, as it is kept, and here at once. @returns whether there was one */
  async remove(uid: string): Promise<boolean> {
    for (let tries = 0; tries < mostTries; tries++) {
      const kept = await this.#kept(uid);
      if (kept?.stored === undefined) return false;
      const next = { ...kept, version: kept.version + 1, stored: undefined };
      if ((await this.#parts.store?.update(next)) !== true) continue;
      await this.take(next);
      return true;
    }
    throw overtaken();
  }

  async #kept(uid: string): Promise<KeptSubscription | undefined> {
    const live = this.#byUid.get(uid);
    if (live?.owner === configured) return live;
    return this.#parts.store?.find({ uid });
  }

  #put(kept: KeptSubscription, stored: StoredSubscription, checked: CheckedSubscription): void {
    const filter = this.#index.shared(checked.filter);
    const subscription = new LiveSubscription(kept, stored, { ...checked, filter }, this.#parts.open);
    const before = this.#byUid.get(subscription.uid);
    if (before !== undefined) {
      this.#index.remove(before);
      before.close();
      if (before.failingSinceMs !== undefined) subscription.failingSinceMs ??= before.failingSinceMs;
    }
    this.#byUid.set(subscription.uid, subscription);
    if (subscription.takesEvents) this.#index.add(subscription);
    this.#parts.changed(before, subscription);
  }

  #drop(uid: string): void {
    const before = this.#byUid.get(uid);
    if (before === undefined) return;
    this.#byUid.delete(uid);
    this.#index.remove(before);
    before.close();
    this.#parts.changed(before, undefined);
  }

  async #watch(store: DispatchStore): Promise<void> {
    const { signal } = this.#stopping;
    const { clock, log } = this.#parts;
    while (!signal.aborted) {
      await new WakeablePause(clock).wait(pollMs, signal);
      if (signal.aborted) return;
      try {
        await this.#poll(store);
        log.storeAnswers();
      } catch (reason) {
        log.storeAway(reason);
      }
    }
  }

  async #poll(store: DispatchStore): Promise<void> {
    const { now, subscriptions } = await store.changes(this.#since);
    for (const kept of subscriptions) await this.take(kept);
    this.#since = now;
    if (++this.#polls % sweepEach === 1) await this.#parts.sweep();
  }
}

function overtaken(): ConnectError {
  return new ConnectError("the subscription is changed by others all the time", Code.Aborted);
}
