import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Subscription_State as State } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import type { CallContext } from "../core/call/context.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { messageOf } from "../messaging/message-context.ts";
import { retryAfter } from "../messaging/outcome.ts";
import type { Deliveries } from "./deliveries.ts";
import { DispatchedEvent } from "./dispatched-event.ts";
import type { EventTypes } from "./event-types.ts";
import type { LiveSubscription } from "./live-subscription.ts";
import type { AttemptEnd } from "./target.ts";
import { readTask, stateOf, type Task, taskFor, type TaskQueue, type TaskState } from "./task-queue.ts";

/** What tasks need. */
export interface TaskFlowParts {
  readonly types: EventTypes;
  readonly find: (uid: string) => Promise<LiveSubscription | undefined>;
  readonly deliveries: Deliveries;
  readonly tasks: TaskQueue;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly random: () => number;
}

/** How long events are kept for a subscription that is paused or disabled, in milliseconds. */
export const keptForMs = 86_400_000;
/** How long what is kept waits until it is looked at again, in milliseconds. */
const leastLookMs = 5_000;
const mostLookMs = 300_000;
/** How far a pause of the schedule may be from its value by chance, as a share of it. */
const jitter = 0.2;

/**
 * What becomes of tasks:
 *
 * ```
 *   task ─▶ not due, subscription paused ──────────────▶ a retry queue
 *           each subscription: lane ─▶ full, breaker open ─▶ a task of its own, in a retry queue
 *                              target ─▶ done
 *                                        failed ──────▶ a task of its own, in a retry queue
 *                                        over ────────▶ a dead letter
 * ```
 *
 * A task is settled when all that it becomes is confirmed.
 */
export class TaskFlow {
  readonly #parts: TaskFlowParts;

  constructor(parts: TaskFlowParts) {
    this.#parts = parts;
  }

  /** Handles a task of subscriptions without an order. @throws ConnectError if it must come again */
  async handle(body: Uint8Array, context: CallContext): Promise<void> {
    const { wallMs, types } = this.#parts;
    const message = messageOf(context);
    const task = readTask(body);
    const state = stateOf(message?.headers ?? new Map(), message?.attempt ?? 1);
    const { signal } = context;
    if (state.dueMs > wallMs()) return this.#later(task, state, signal);
    const event = DispatchedEvent.kept(types, task.event);
    if (event === undefined) throw unknown(task);
    // One that fails ends the run, in which the others go on.
    const ends = await Promise.allSettled(
      task.subscriptions.map((uid) => this.#one(taskFor(task, uid), uid, event, state, signal)),
    );
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  /** Handles a task of a subscription with an order, which holds its key while it fails. @throws ConnectError what has failed */
  async inOrder(body: Uint8Array, context: CallContext): Promise<void> {
    const { find, types, deliveries } = this.#parts;
    const task = readTask(body);
    const [uid = ""] = task.subscriptions;
    const subscription = await find(uid);
    if (subscription === undefined || this.#isTooOld(task, subscription)) return;
    const event = DispatchedEvent.kept(types, task.event);
    if (event === undefined) throw unknown(task);
    if (subscription.state !== State.ACTIVE) throw unavailable("the subscription is not active", leastLookMs);
    const attempt = messageOf(context)?.attempt ?? 1;
    const { signal } = context;
    const end = await deliveries.try(
      subscription,
      event,
      attempt,
      subscription.failingSinceMs !== undefined,
      signal,
    );
    const isOver = end.kind === "dead" || attempt > subscription.schedule.orderedDelaysMs.length;
    await deliveries.keep(subscription, event, attempt, end, isOver);
    switch (end.kind) {
      case "done":
        return;
      case "retry":
        throw end.afterMs === undefined
          ? retriable(end.error)
          : retryAfter(end.afterMs, retriable(end.error));
      case "gone":
        throw unavailable("the receiver wants no more events", leastLookMs);
      case "dead":
        throw end.error;
    }
  }

  async #one(
    task: Task,
    uid: string,
    event: DispatchedEvent,
    state: TaskState,
    signal: AbortSignal,
  ): Promise<void> {
    const { find, deliveries, clock, random, wallMs } = this.#parts;
    const subscription = await find(uid);
    if (subscription === undefined || this.#isTooOld(task, subscription)) return;
    if (subscription.state !== State.ACTIVE) return this.#keep(task, state, signal);
    const place = await subscription.lane({ clock, random }).enter(signal);
    if (typeof place === "number") {
      return this.#later(task, { ...state, dueMs: wallMs() + place, keptSinceMs: 0 }, signal);
    }
    const attempt = state.attempts + 1;
    let end: AttemptEnd | undefined;
    try {
      end = await deliveries.try(subscription, event, attempt, place.isFailing, signal);
    } finally {
      place.leave(end);
    }
    const next = this.#next(subscription, end, attempt);
    await deliveries.keep(subscription, event, attempt, end, next === "over");
    if (next === "done") return;
    if (next === "keep") return this.#keep(task, { ...state, attempts: attempt }, signal);
    if (next !== "over")
      return this.#later(task, { attempts: attempt, dueMs: wallMs() + next, keptSinceMs: 0 }, signal);
    const reason = end.kind === "dead" ? end.reason : "attempts";
    const error = "error" in end ? end.error : unavailable("it has failed", 0);
    if (!(await this.#parts.tasks.bury(task, reason, error, attempt, signal))) throw ended(signal);
  }

  /** What follows on a try: the pause before the next one, in milliseconds, or none. */
  #next({ schedule }: LiveSubscription, end: AttemptEnd, attempt: number): number | "done" | "over" | "keep" {
    switch (end.kind) {
      case "done":
        return "done";
      case "dead":
        return "over";
      case "gone":
        return "keep";
      case "retry": {
        const delayMs = schedule.delaysMs[attempt - 1];
        if (delayMs === undefined) return "over";
        return end.afterMs ?? delayMs * (1 - jitter + 2 * jitter * this.#parts.random());
      }
    }
  }

  /** Keeps a task until its subscription is active again, or for a day. */
  #keep(task: Task, state: TaskState, signal: AbortSignal): Promise<void> {
    const nowMs = this.#parts.wallMs();
    const keptSinceMs = state.keptSinceMs || nowMs;
    const keptMs = nowMs - keptSinceMs;
    if (keptMs >= keptForMs) return Promise.resolve();
    const dueMs = nowMs + Math.min(mostLookMs, Math.max(leastLookMs, keptMs));
    return this.#later(task, { ...state, dueMs, keptSinceMs }, signal);
  }

  async #later(task: Task, state: TaskState, signal: AbortSignal): Promise<void> {
    if (!(await this.#parts.tasks.later(task, state, signal))) throw ended(signal);
  }

  /** Whether an event was kept for too long when its subscription was resumed. */
  #isTooOld({ time }: Task, { oldestMs }: LiveSubscription): boolean {
    return time !== undefined && timestampMs(time) < oldestMs;
  }
}

/** A failure that has another try, whatever its code says of rpcs. */
function retriable(error: ConnectError): ConnectError {
  return new ConnectError(error.rawMessage, Code.Unavailable, undefined, undefined, error);
}

function unknown({ event }: Task): ConnectError {
  return unavailable(`this process knows no event of the type ${event?.type ?? ""}`, 30_000);
}

function unavailable(text: string, afterMs: number): ConnectError {
  return retryAfter(afterMs, new ConnectError(text, Code.Unavailable));
}

function ended(signal: AbortSignal): unknown {
  return signal.reason ?? new ConnectError("the task was ended", Code.Aborted);
}
