import { toBinary } from "@bufbuild/protobuf";
import { EventSchema } from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import type { Clock } from "../core/time/clock.ts";
import { toCallError } from "../core/errors/errors.ts";
import type { DispatchCounts } from "./dispatch-counts.ts";
import type { DispatchLog } from "./dispatch-log.ts";
import type { DispatchStore, KeptDelivery } from "./dispatch-store.ts";
import type { DispatchedEvent } from "./dispatched-event.ts";
import type { DeliverySlots } from "./delivery-slots.ts";
import type { LiveSubscription } from "./live-subscription.ts";
import { tookTooLong } from "./run-end.ts";
import { webhookId } from "./signature.ts";
import type { AttemptEnd } from "./target.ts";

/** What tries of deliveries need. */
export interface DeliveriesParts {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly counts: DispatchCounts;
  readonly log: DispatchLog;
  readonly slots: DeliverySlots;
  readonly store: DispatchStore | undefined;
  readonly keeps: "failures" | "all" | "none";
  /** Called when a webhook was tried. */
  readonly tried: (subscription: LiveSubscription, end: AttemptEnd) => Promise<void>;
}

/** Tries to deliver events, and keeps what has become of them. */
export class Deliveries {
  readonly #parts: DeliveriesParts;

  constructor(parts: DeliveriesParts) {
    this.#parts = parts;
  }

  /**
   * One try.
   *
   * @param isFailing whether the last one of the subscription has failed
   * @throws the reason of the signal: the try is of no consequence
   */
  async try(
    subscription: LiveSubscription,
    event: DispatchedEvent,
    attempt: number,
    isFailing: boolean,
    signal: AbortSignal,
  ): Promise<AttemptEnd> {
    const { counts, slots, tried } = this.#parts;
    const deliveryId = webhookId(event.source, event.id, subscription.uid);
    let end: AttemptEnd;
    try {
      const { target } = subscription;
      const giveBack = target.kind === "webhook" ? await slots.take(isFailing, signal) : undefined;
      try {
        end = await this.#bounded(subscription.schedule.timeoutMs, signal, (bounded) =>
          target.deliver(event, { deliveryId, number: attempt, signal: bounded }),
        );
      } finally {
        giveBack?.();
      }
    } catch (reason) {
      signal.throwIfAborted();
      this.#parts.log.fault(reason);
      end = { kind: "dead", reason: "permanent", error: toCallError(reason) };
    }
    signal.throwIfAborted();
    counts.delivered(subscription.target.kind, end.kind);
    await tried(subscription, end);
    return end;
  }

  /** Keeps how a delivery stands. Never rejects. @param isOver whether it is not tried again */
  async keep(
    subscription: LiveSubscription,
    event: DispatchedEvent,
    attempt: number,
    end: AttemptEnd,
    isOver: boolean,
  ): Promise<void> {
    const { store, keeps, log, wallMs } = this.#parts;
    const wasKept = attempt > 1; // A failure of it may be there, which this try follows on.
    if (store === undefined || keeps === "none" || (end.kind === "done" && keeps !== "all" && !wasKept))
      return;
    const error = "error" in end ? end.error : undefined;
    const delivery: KeptDelivery = {
      deliveryId: webhookId(event.source, event.id, subscription.uid),
      uid: subscription.uid,
      eventId: event.id,
      eventSource: event.source,
      eventType: event.type.type,
      status: end.kind === "done" ? "delivered" : isOver ? "dead" : "failed",
      httpStatus: end.httpStatus ?? 0,
      code: error?.code ?? 0,
      message: (error?.rawMessage ?? "").slice(0, 512).toWellFormed(),
      attempt,
      timeMs: wallMs(),
      event: toBinary(EventSchema, event.kept),
    };
    try {
      await store.note(delivery);
    } catch (reason) {
      log.unkept(subscription.id, reason);
    }
  }

  /** Ends a try that takes too long; what the target still does is of no interest then. */
  async #bounded(
    timeoutMs: number,
    signal: AbortSignal,
    deliver: (signal: AbortSignal) => Promise<AttemptEnd>,
  ): Promise<AttemptEnd> {
    const controller = new AbortController();
    const stop = (): void => controller.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const { promise: late, resolve } = Promise.withResolvers<AttemptEnd>();
    const cancel = this.#parts.clock.after(timeoutMs, () => {
      const error = tookTooLong(timeoutMs);
      controller.abort(error);
      resolve({ kind: "retry", error });
    });
    try {
      return await Promise.race([late, deliver(controller.signal)]);
    } finally {
      cancel();
      signal.removeEventListener("abort", stop);
    }
  }
}
