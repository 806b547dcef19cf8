import type { ConnectError } from "../core/errors/errors.ts";
import { retryAfterMsOf } from "../core/errors/retry-info.ts";
import type { Permit } from "../core/resilience/breaker.ts";
import { CallRuns, isCall, type CallRun } from "./call-runs.ts";
import type { Consumed } from "./consumed.ts";
import type { ConsumeBreaker } from "./consume-breaker.ts";
import { deadLetterOf, retryOf } from "./dead-letters.ts";
import { type Disposition, hold, release, settle } from "./disposition.ts";
import { InboxRun, inboxRunKey } from "./inbox.ts";
import type { CallEnd } from "./message-call.ts";
import type { Moves } from "./moves.ts";
import { type DeadReason, gateVerdictOf, verdictOf } from "./outcome.ts";
import type { RetrySchedule } from "./retry.ts";
import type { RunRecords } from "./run-records.ts";
import type { SubscriptionCounts } from "./subscription-counts.ts";
import type { RpcPlan, SubscriptionPlan } from "./subscription-plan.ts";

/** What runs need. */
export interface RunsParts {
  readonly plan: SubscriptionPlan;
  readonly counts: SubscriptionCounts;
  readonly moves: Moves;
  /** Undefined where there is none. */
  readonly breaker: ConsumeBreaker | undefined;
  readonly records: RunRecords;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Fires when the subscription stops: no attempt counts and nothing is moved from then on. */
  readonly stopping: AbortSignal;
  /** Whether dead letters are kept. */
  readonly deadLetters: boolean;
  /** Called with what is dropped although it could not be handled. */
  readonly lost: (message: Consumed, reason: DeadReason, why: string) => void;
  /** Whether the caller of a call waits no more. */
  readonly isCancelled: (message: Consumed) => boolean;
  /** Called for a call whose reply the broker does not take. */
  readonly unanswered: (message: Consumed, reason: unknown) => void;
}

/** How long a message waits that a gate does not admit now, in milliseconds, where the gate does not say. */
const gateWaitMs = 1_000;

/** Handles messages of a subscription: calls, and what their ends make of messages. */
export class MessageRuns {
  readonly #parts: RunsParts;
  readonly #calls: CallRuns;

  constructor(parts: RunsParts) {
    this.#parts = parts;
    const { plan, records, isCancelled, unanswered } = parts;
    this.#calls = new CallRuns({
      plan,
      records,
      isCancelled,
      unanswered,
      run: (message, rpc) => this.#call([message], rpc, true),
    });
  }

  /** Handles one message. */
  async one(message: Consumed): Promise<Disposition> {
    const { fate } = message;
    const { plan } = this.#parts;
    if (this.#hasExpired(message)) return settle("expired");
    if (isCall(message, plan)) return this.#calls.one(message);
    switch (fate.kind) {
      case "skip":
        return settle("skip");
      case "dead":
        return this.#bury(message, fate.reason, undefined, fate.why);
      case "retry":
        return this.#again(message, plan.schedule, undefined, fate);
      case "run": {
        const rpc = plan.rpcs.get(fate.rpc);
        return rpc === undefined ? settle("skip") : this.#run(message, rpc);
      }
    }
  }

  /** Handles messages of one rpc in one run. */
  async together(messages: readonly Consumed[]): Promise<Disposition> {
    const [first] = messages;
    const rpc = first?.fate.kind === "run" ? this.#parts.plan.rpcs.get(first.fate.rpc) : undefined;
    if (rpc === undefined || messages.some((message) => message.isHandled || this.#hasExpired(message))) {
      return { kind: "alone" };
    }
    const { records } = this.#parts;
    const before = await records.before(messages);
    if (before !== "run") return { kind: "alone" };
    const { end, inboxRun, isOutage } = await this.#call(messages, rpc);
    if (end.kind !== "ok" && messages.some(({ abortedBy }) => abortedBy !== undefined))
      return release("drain");
    if (inboxRun.duplicates.length > 0) return { kind: "alone" };
    switch (end.kind) {
      case "ok":
        for (const message of messages) message.isHandled = true;
        return (await records.after(messages, inboxRun)) ? settle("ok") : { kind: "alone" };
      case "failed":
        return isOutage ? hold(0) : { kind: "alone" };
      case "refused":
        return this.#refused(end.error) ?? { kind: "alone" };
      case "unreadable":
        return { kind: "alone" };
    }
  }

  async #run(message: Consumed, plan: RpcPlan): Promise<Disposition> {
    const { records } = this.#parts;
    if (message.isHandled)
      return (await records.after([message], undefined)) ? settle("ok") : hold(gateWaitMs);
    const before = await records.before([message]);
    if (before === "duplicate") return settle("duplicate");
    if (before === "wait") return hold(gateWaitMs);
    if (before === "crash-loop") {
      return this.#bury(
        message,
        "crash-loop",
        undefined,
        "its runs have ended the process, or were never ended",
      );
    }
    const { end, inboxRun, isOutage } = await this.#call([message], plan);
    if (inboxRun.duplicates.length > 0) return settle("duplicate");
    if (end.kind === "ok") {
      message.isHandled = true;
      return (await records.after([message], inboxRun)) ? settle("ok") : hold(gateWaitMs);
    }
    if (message.abortedBy !== undefined) return release(message.isLost ? "lost" : "drain");
    switch (end.kind) {
      case "failed":
        return isOutage ? hold(0) : this.#failed(message, plan, end.error);
      case "refused":
        return this.#refused(end.error) ?? this.#denied(message, plan, end.error);
      case "unreadable": {
        const { kind, why } = end.messages.get(message) ?? {
          kind: "undecodable",
          why: "its body cannot be read",
        };
        return this.#bury(message, kind, undefined, why);
      }
    }
  }

  async #call(
    messages: readonly Consumed[],
    plan: RpcPlan,
    isAnswered = false,
  ): Promise<CallRun & { readonly isOutage: boolean }> {
    const { breaker, records } = this.#parts;
    const permit = breaker?.acquire();
    const context = plan.caller.open(messages, this.#timeoutOf(messages, plan));
    const inboxRun = new InboxRun(records.keysOf(messages));
    context.values.set(inboxRunKey, inboxRun);
    for (const message of messages) {
      this.#age(message);
      message.call = context;
      message.hasBegun = true;
      message.abortedBy = undefined;
      if (message.isLost) context.abort(message.delivery.lost.reason as ConnectError); // Brokers give one.
    }
    const end = await plan.caller.call(messages, context, isAnswered);
    context.end();
    for (const message of messages) {
      message.call = undefined;
      message.work = context.reason === undefined ? undefined : context.work;
    }
    await records.ended(messages);
    return { end, context, inboxRun, isOutage: this.#isOutage(permit, end, messages) };
  }

  /** Whether the end of a run shows that a dependency is away. */
  #isOutage(permit: Permit | undefined, end: CallEnd, messages: readonly Consumed[]): boolean {
    if (permit === undefined) return false;
    const isOurs = messages.some(({ abortedBy }) => abortedBy !== undefined);
    if (isOurs || end.kind === "refused" || end.kind === "unreadable") {
      permit.ignore();
      return false;
    }
    const error = end.kind === "failed" ? end.error : undefined;
    return this.#parts.breaker?.judge(permit, error) === "outage";
  }

  /** What the refusal of a gate that lets the message wait makes of it; undefined for others. */
  #refused(error: ConnectError): Disposition | undefined {
    if (gateVerdictOf(error.code).kind !== "wait") return undefined;
    return hold(Math.max(1, retryAfterMsOf(error) ?? gateWaitMs));
  }

  #denied(message: Consumed, plan: RpcPlan, error: ConnectError): Promise<Disposition> {
    const verdict = gateVerdictOf(error.code);
    return verdict.kind === "dead"
      ? this.#bury(message, verdict.reason, error, "")
      : this.#failed(message, plan, error);
  }

  async #failed(message: Consumed, plan: RpcPlan, error: ConnectError): Promise<Disposition> {
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
        return this.#bury(message, verdict.reason, error, "");
      case "retry":
        return this.#again(message, plan.schedule, error, { reason: "attempts", why: "" });
    }
  }

  /** An attempt has failed. */
  async #again(
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
        return this.#bury(message, reason, error, why);
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
  async #bury(
    message: Consumed,
    reason: DeadReason,
    error: ConnectError | undefined,
    why: string,
  ): Promise<Disposition> {
    const { stopping, counts, moves, plan, deadLetters, lost, wallMs } = this.#parts;
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
    return settle("dead");
  }

  #hasExpired({ expiresAtMs }: Consumed): boolean {
    return expiresAtMs !== undefined && expiresAtMs <= this.#parts.wallMs();
  }

  #timeoutOf(messages: readonly Consumed[], { timeoutMs }: RpcPlan): number {
    let leftMs = timeoutMs;
    for (const { expiresAtMs } of messages) {
      if (expiresAtMs !== undefined) leftMs = Math.min(leftMs, expiresAtMs - this.#parts.wallMs());
    }
    return leftMs;
  }

  #age({ event, attempts }: Consumed): void {
    if (event?.timeMs === undefined || attempts > 0) return;
    this.#parts.counts.ages.observe(Math.max(0, this.#parts.wallMs() - event.timeMs) / 1000);
  }
}
