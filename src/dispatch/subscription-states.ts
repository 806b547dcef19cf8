import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  SubscriptionDisabledSchema,
  Subscription_State as State,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { Publisher } from "../messaging/publisher.ts";
import { stateName } from "./dispatch-counts.ts";
import type { DispatchLog } from "./dispatch-log.ts";
import type { KeptSubscription } from "./dispatch-store.ts";
import type { LiveSubscription } from "./live-subscription.ts";
import type { LiveSubscriptions } from "./live-subscriptions.ts";
import { principalIdOf } from "./subscription-owner.ts";
import { keptForMs } from "./task-flow.ts";
import type { AttemptEnd } from "./target.ts";

/** What the states of subscriptions need. */
export interface StatesParts {
  readonly live: () => LiveSubscriptions;
  readonly publisher: Publisher;
  readonly log: DispatchLog;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** How long a webhook may fail, in milliseconds. */
  readonly disableAfterMs: number;
}

/** How long a webhook fails until that is kept, as a part of the time until it is disabled. */
const keptAfter = 1 / 120;

/** Changes the states of subscriptions: by their owners, and for what becomes of their webhooks and conditions. */
export class SubscriptionStates {
  readonly #parts: StatesParts;
  /** Changes that are under way, by uid. */
  readonly #changing = new Set<string>();

  constructor(parts: StatesParts) {
    this.#parts = parts;
  }

  /** @returns undefined for one that there is not */
  pause(uid: string): Promise<KeptSubscription | undefined> {
    return this.#enter(uid, State.PAUSED, "paused by its owner");
  }

  /** What was kept for up to a day is sent. @returns undefined for one that there is not */
  resume(uid: string): Promise<KeptSubscription | undefined> {
    const nowMs = this.#parts.wallMs();
    return this.#parts.live().change(uid, (stored) => {
      const { subscription } = stored;
      if (subscription === undefined || subscription.state === State.ACTIVE) return false;
      subscription.state = State.ACTIVE;
      subscription.stateReason = "";
      subscription.updateTime = timestampFromMs(nowMs);
      delete subscription.failingSince;
      stored.resumeTime = timestampFromMs(nowMs - keptForMs);
      return true;
    });
  }

  /** The condition of a subscription takes too long. Never rejects. */
  tooSlow({ uid, id }: LiveSubscription): void {
    const why = "its condition took more than 5 ms, ten times within a minute";
    void this.#once(uid, async () => {
      await this.#enter(uid, State.FAULTY, why);
      this.#parts.log.ended(id, stateName(State.FAULTY), why);
    });
  }

  /** A webhook was tried: one that fails for too long, or is gone, is disabled. Never rejects. */
  async tried(subscription: LiveSubscription, end: AttemptEnd): Promise<void> {
    const { wallMs, disableAfterMs } = this.#parts;
    if (subscription.target.kind !== "webhook" || end.kind === "dead") return;
    if (end.kind === "done") return this.#succeeded(subscription);
    if (end.kind === "gone") return this.#disable(subscription, "its receiver answered with 410 Gone");
    const nowMs = wallMs();
    const sinceMs = (subscription.failingSinceMs ??= nowMs);
    const failingMs = nowMs - sinceMs;
    if (failingMs >= disableAfterMs) {
      const since = new Date(sinceMs).toISOString();
      return this.#disable(subscription, `no delivery has succeeded since ${since}`);
    }
    if (subscription.isFailureKept || failingMs < disableAfterMs * keptAfter) return;
    await this.#once(subscription.uid, async () => {
      await this.#parts.live().change(subscription.uid, ({ subscription: kept }) => {
        if (kept === undefined || kept.failingSince !== undefined) return false;
        kept.failingSince = timestampFromMs(sinceMs);
        return true;
      });
    });
  }

  async #succeeded(subscription: LiveSubscription): Promise<void> {
    subscription.failingSinceMs = undefined;
    if (!subscription.isFailureKept) return;
    await this.#once(subscription.uid, async () => {
      await this.#parts.live().change(subscription.uid, ({ subscription: kept }) => {
        if (kept?.failingSince === undefined) return false;
        delete kept.failingSince;
        return true;
      });
    });
  }

  #disable({ uid, id, owner }: LiveSubscription, reason: string): Promise<void> {
    const { publisher, log } = this.#parts;
    return this.#once(uid, async () => {
      const kept = await this.#enter(uid, State.DISABLED, reason);
      if (kept === undefined) return;
      log.ended(id, stateName(State.DISABLED), reason);
      await publisher.publish(SubscriptionDisabledSchema, {
        subscriptionId: id,
        owner: principalIdOf(owner),
        reason,
      });
    });
  }

  #enter(uid: string, state: State, why: string): Promise<KeptSubscription | undefined> {
    return this.#parts.live().change(uid, ({ subscription }) => {
      if (subscription === undefined || subscription.state === state) return false;
      subscription.state = state;
      subscription.stateReason = why;
      subscription.updateTime = timestampFromMs(this.#parts.wallMs());
      return true;
    });
  }

  /** One change of a subscription at a time; what fails is tried again by the next delivery. */
  async #once(uid: string, change: () => Promise<void>): Promise<void> {
    if (this.#changing.has(uid)) return;
    this.#changing.add(uid);
    try {
      await change();
    } catch (reason) {
      this.#parts.log.fault(reason);
    } finally {
      this.#changing.delete(uid);
    }
  }
}
