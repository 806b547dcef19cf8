import { LiveSet } from "../core/call/live-set.ts";
import { stopReply } from "./call-runs.ts";
import type { Consumed } from "./consumed.ts";
import type { Disposition } from "./disposition.ts";
import type { Then } from "./lanes.ts";
import { SettleLedger } from "./settle-ledger.ts";
import type { ReleasedFor, SubscriptionCounts } from "./subscription-counts.ts";
import type { SubscriptionPlan } from "./subscription-plan.ts";

/** What the ends of deliveries need. */
export interface DeliveryEndsParts {
  readonly plan: SubscriptionPlan;
  readonly counts: SubscriptionCounts;
  readonly maxBufferedBytes: number;
  /** A message that has waited for the run of the same message is to be run itself. */
  readonly queue: (message: Consumed) => void;
  /** Called when there are fewer deliveries that wait. */
  readonly changed: () => void;
}

/** The way of deliveries back to their broker: as settled, or released. */
export class DeliveryEnds {
  readonly ledger: SettleLedger<Consumed>;
  readonly #parts: DeliveryEndsParts;
  /** Deliveries that are not settled. */
  readonly #open = new LiveSet<Consumed>();

  constructor(parts: DeliveryEndsParts) {
    this.#parts = parts;
    this.ledger = new SettleLedger({ maxBufferedBytes: parts.maxBufferedBytes });
  }

  /** Deliveries that are not settled. */
  get open(): Iterable<Consumed> {
    return this.#open;
  }

  /** A delivery has come. */
  begin(message: Consumed): void {
    this.#open.add(message);
    this.ledger.received(message, message.bytes);
  }

  /** Does what was decided on a message. @returns what its lane does; undefined where it is to be run by itself */
  conclude(message: Consumed, disposition: Disposition): Then | undefined {
    const { work, isLost } = message;
    const then = this.#dispose(message, disposition);
    if (work === undefined || !isLost)
      this.#follow(message, disposition.kind === "settle" ? disposition : undefined);
    else {
      // The handler goes on: the message is not run again while it does.
      work.then(
        () => this.#follow(message, { kind: "settle", as: "ok" }),
        () => this.#follow(message, undefined),
      );
    }
    return then;
  }

  #dispose(message: Consumed, disposition: Disposition): Then | undefined {
    const { delivery, isLost, bytes } = message;
    if (isLost && disposition.kind !== "settle") {
      this.gone(message, "lost");
      return "done";
    }
    switch (disposition.kind) {
      case "settle":
        delivery.settle();
        this.#parts.counts.settle(disposition.as);
        this.gone(message);
        return "done";
      case "release":
        this.release(message, disposition.why);
        return "done";
      case "hold":
        this.ledger.waits(message, bytes);
        return { againAfterMs: disposition.ms };
      case "alone":
        this.ledger.waits(message, bytes);
        return undefined;
    }
  }

  /** Deliveries that have waited for the run of the same message take its outcome, or are run now. */
  #follow({ identity, answer }: Consumed, given: Disposition | undefined): void {
    for (const follower of this.ledger.end(identity)) {
      const { delivery } = follower;
      const isCall = delivery.reply !== undefined;
      if (isCall && answer !== undefined && given !== undefined) {
        const settled = (): unknown => this.#dispose(follower, given);
        void delivery.reply?.(answer).then(settled, settled);
        continue;
      }
      // A call needs its reply: where the run has given none, it is decided on by itself.
      const outcome = isCall ? undefined : given;
      if (outcome !== undefined || follower.isLost)
        this.#dispose(follower, outcome ?? { kind: "release", why: "lost" });
      else {
        this.ledger.waits(follower, follower.bytes);
        this.#parts.queue(follower);
      }
    }
  }

  /** As `release`, of each. */
  releaseAll(messages: readonly Consumed[], why: ReleasedFor): void {
    for (const message of messages) this.release(message, why);
  }

  /** Gives a message back, unless it is settled already. */
  release(message: Consumed, why: ReleasedFor): void {
    if (message.livePlace < 0) return;
    if (why === "drain" && this.#refuse(message)) return;
    message.delivery.release();
    this.gone(message, why);
  }

  /** Answers a call that may not be given back. @returns whether it is one; its reply may be under way */
  #refuse(message: Consumed): boolean {
    if (message.answer !== undefined) return !message.hasBegun;
    const answer = stopReply(message, this.#parts.plan);
    if (answer === undefined) return false;
    message.answer = answer;
    const { delivery } = message;
    void delivery.reply?.(answer).then(
      () => this.#dispose(message, { kind: "settle", as: "ok" }),
      () => {
        delivery.release();
        this.gone(message, "drain");
      },
    );
    return true;
  }

  /** A delivery is no more here. @param why it was not settled; undefined where it was */
  gone(message: Consumed, why?: ReleasedFor): void {
    if (message.livePlace < 0) return;
    this.#open.delete(message);
    if (why !== undefined) this.#parts.counts.release(why);
    this.ledger.gone(message);
    this.#parts.changed();
  }
}
