import type { ConnectError } from "../core/errors/errors.ts";
import type { Permit } from "../core/resilience/breaker.ts";
import { CallRuns, isCall, type CallRun } from "./call-runs.ts";
import type { Consumed } from "./consumed.ts";
import type { ConsumeBreaker } from "./consume-breaker.ts";
import { type Disposition, hold, release, settle } from "./disposition.ts";
import { FailedRuns, type FailedRunsParts, gateWaitMs } from "./failed-runs.ts";
import { InboxRun, inboxRunKey } from "./inbox.ts";
import type { CallEnd } from "./message-call.ts";
import type { RunRecords } from "./run-records.ts";
import type { RpcPlan } from "./subscription-plan.ts";

/** What runs need. */
export interface RunsParts extends FailedRunsParts {
  /** Undefined where there is none. */
  readonly breaker: ConsumeBreaker | undefined;
  readonly records: RunRecords;
  /** Whether the caller of a call waits no more. */
  readonly isCancelled: (message: Consumed) => boolean;
  /** Called for a call whose reply the broker does not take. */
  readonly unanswered: (message: Consumed, reason: unknown) => void;
}

/** Handles messages of a subscription: calls, and what their ends make of messages. */
export class MessageRuns {
  readonly #parts: RunsParts;
  readonly #failures: FailedRuns;
  readonly #calls: CallRuns;

  constructor(parts: RunsParts) {
    this.#parts = parts;
    this.#failures = new FailedRuns(parts);
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
  one(message: Consumed): Disposition | Promise<Disposition> {
    const { fate } = message;
    const { plan } = this.#parts;
    if (this.#hasExpired(message)) return settle("expired");
    if (isCall(message, plan)) return this.#calls.one(message);
    switch (fate.kind) {
      case "skip":
        return settle("skip");
      case "dead":
        return this.#failures.bury(message, fate.reason, undefined, fate.why);
      case "retry":
        return this.#failures.again(message, plan.schedule, undefined, fate);
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
        return this.#failures.refused(end.error) ?? { kind: "alone" };
      case "unreadable":
        return { kind: "alone" };
    }
  }

  async #run(message: Consumed, plan: RpcPlan): Promise<Disposition> {
    const { records } = this.#parts;
    if (message.isHandled)
      return (await records.after([message], undefined)) ? settle("ok") : hold(gateWaitMs);
    const asked = records.before([message]);
    const before = typeof asked === "string" ? asked : await asked;
    if (before === "duplicate") return settle("duplicate");
    if (before === "wait") return hold(gateWaitMs);
    if (before === "crash-loop") {
      return this.#failures.bury(
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
      const recording = records.after([message], inboxRun);
      const isRecorded = typeof recording === "boolean" ? recording : await recording;
      return isRecorded ? settle("ok") : hold(gateWaitMs);
    }
    if (message.abortedBy !== undefined) return release(message.isLost ? "lost" : "drain");
    switch (end.kind) {
      case "failed":
        return isOutage ? hold(0) : this.#failures.failed(message, plan, end.error);
      case "refused":
        return this.#failures.refused(end.error) ?? this.#failures.denied(message, plan, end.error);
      case "unreadable": {
        const { kind, why } = end.messages.get(message) ?? {
          kind: "undecodable",
          why: "its body cannot be read",
        };
        return this.#failures.bury(message, kind, undefined, why);
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
    const ended = records.ended(messages);
    if (ended !== undefined) await ended;
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
