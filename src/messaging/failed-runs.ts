import type { ConnectError } from "../core/errors/errors.ts";
import { retryAfterMsOf } from "../core/errors/retry-info.ts";
import type { Consumed } from "./consumed.ts";
import { deadLetterOf, retryOf } from "./dead-letters.ts";
import { type Disposition, hold, release, settle } from "./disposition.ts";
import type { Moves } from "./moves.ts";
import { type DeadReason, gateVerdictOf, verdictOf } from "./outcome.ts";
import type { RetrySchedule } from "./retry.ts";
import type { SubscriptionCounts } from "./subscription-counts.ts";
import type { RpcPlan, SubscriptionPlan } from "./subscription-plan.ts";

/** What decides on messages that could not be handled. */
export interface FailedRunsParts {
  readonly plan: SubscriptionPlan;
  readonly counts: SubscriptionCounts;
  readonly moves: Moves;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Fires when the subscription stops: no attempt counts and nothing is moved from then on. */
  readonly stopping: AbortSignal;
  /** Whether dead letters are kept. */
  readonly deadLetters: boolean;
  /** Called with what is dropped although it could not be handled. */
  readonly lost: (message: Consumed, reason: DeadReason, why: string) => void;
  /** Called with what is in the dead-letter queue now. */
  readonly buried: (message: Consumed, reason: DeadReason, why: string) => void;
}

/** How long a message waits that a gate does not admit now, in milliseconds, where the gate does not say. */
export const gateWaitMs = 1_000;

/** What becomes of messages that could not be handled: tried again, dead letters, dropped. */
export class FailedRuns {
  readonly #parts: FailedRunsParts;

  constructor(parts: FailedRunsParts) {
    this.#parts = parts;
  }

  /** What the refusal of a gate that lets the message wait makes of it; undefined for others. */
  refused(error: ConnectError): Disposition | undefined {
    if (gateVerdictOf(error.code).kind !== "wait") return undefined;
    return hold(Math.max(1, retryAfterMsOf(error) ?? gateWaitMs));
  }

  /** A gate has refused the call of a message for good. */
  denied(message: Consumed, plan: RpcPlan, error: ConnectError): Promise<Disposition> {
    const verdict = gateVerdictOf(error.code);
    return verdict.kind === "dead"
      ? this.bury(message, verdict.reason, error, "")
      : this.failed(message, plan, error);
  }

  /** The run of a message has failed. */
  async failed(message: Consumed, plan: RpcPlan, error: ConnectError): Promise<Disposition> {
    const verdict = verdictOf(error, message.abortedBy, plan.outcomes);
    switch (verdict.kind) {
      case "ok":
        return settle("ok");
      case "release":
        return release("drain");
      case "drop":
        return settle("drop");
      case "dead":
        message.attempts++;
        return this.bury(message, verdict.reason, error, "");
      case "retry":
        return this.again(message, plan.schedule, error, { reason: "attempts", why: "" });
    }
  }

  /** An attempt has failed. */
  async again(
    message: Consumed,
    schedule: RetrySchedule,
    error: ConnectError | undefined,
    { reason, why }: { readonly reason: DeadReason; readonly why: string },
  ): Promise<Disposition> {
    const { stopping, plan, moves } = this.#parts;
    if (stopping.aborted) return release("drain");
    const attempt = message.attempts + 1;
    const next = schedule.after(attempt, error && retryAfterMsOf(error));
    message.attempts = attempt;
    switch (next.kind) {
      case "over":
        return this.bury(message, reason, error, why);
      case "hold":
        return hold(next.ms);
      case "later": {
        const { topic, ownGroup } = plan;
        const copy = retryOf(message.delivery, topic, ownGroup, next.delayMs, attempt);
        return (await moves.move(copy, stopping)) ? settle("retry") : release("drain");
      }
    }
  }

  /** Moves a message to the dead-letter queue. */
  async bury(
    message: Consumed,
    reason: DeadReason,
    error: ConnectError | undefined,
    why: string,
  ): Promise<Disposition> {
    const { stopping, counts, moves, plan, deadLetters, lost, buried, wallMs } = this.#parts;
    if (stopping.aborted) return release("drain");
    if (!deadLetters) {
      counts.die(reason);
      lost(message, reason, error?.message ?? why);
      return settle("drop");
    }
    const { fate, attempts, delivery } = message;
    const letter = deadLetterOf(delivery, {
      reason,
      error,
      why,
      attempts,
      rpc: fate.kind === "run" ? fate.rpc.name : undefined,
      topic: plan.topic,
      group: plan.ownGroup,
      atMs: wallMs(),
    });
    if (!(await moves.move(letter, stopping))) return release("drain");
    counts.die(reason);
    buried(message, reason, error?.message ?? why);
    return settle("dead");
  }
}
