import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import type { CallContext } from "../core/call/context.ts";
import { ownMetadata } from "../core/call/invoker.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { type CallResult, type ReplyMessage, replyMessage } from "./call-reply.ts";
import type { Consumed, Fate } from "./consumed.ts";
import { type Disposition, hold, release, settle } from "./disposition.ts";
import type { InboxRun } from "./inbox.ts";
import type { CallEnd } from "./message-call.ts";
import type { DeadReason } from "./outcome.ts";
import type { RunRecords } from "./run-records.ts";
import type { RpcPlan, SubscriptionPlan } from "./subscription-plan.ts";

/** What the runs of calls need. */
export interface CallRunsParts {
  readonly plan: SubscriptionPlan;
  readonly records: RunRecords;
  /** Makes the call. Never rejects. */
  readonly run: (message: Consumed, plan: RpcPlan) => Promise<CallRun>;
  /** Whether the caller waits no more. */
  readonly isCancelled: (message: Consumed) => boolean;
  /** Called for a call whose reply the broker does not take. */
  readonly unanswered: (message: Consumed, reason: unknown) => void;
}

/** A run that has ended. */
export interface CallRun {
  readonly end: CallEnd;
  readonly context: CallContext;
  readonly inboxRun: InboxRun;
}

/** How long a call waits whose inbox cannot be asked, in milliseconds. */
const inboxWaitMs = 1_000;

const empty = new Uint8Array(0);

/**
 * Handles calls: commands whose senders wait for a reply.
 *
 * The outcome of a run is the reply, a failure too: a call is never tried again, and never a dead letter. A call that was
 * delivered before runs again only if its rpc is `NO_SIDE_EFFECTS` or `IDEMPOTENT`: see `stopReply` for others that wait
 * at a stop.
 */
export class CallRuns {
  readonly #parts: CallRunsParts;

  constructor(parts: CallRunsParts) {
    this.#parts = parts;
  }

  /** Handles a call that has not expired. */
  async one(message: Consumed): Promise<Disposition> {
    if (message.isHandled) return this.#record(message, undefined);
    const { fate, delivery } = message;
    if (fate.kind !== "run") return this.#answer(message, failed(refusalOf(fate)));
    const { plan, records, isCancelled } = this.#parts;
    if (isCancelled(message)) return settle("skip");
    const rpc = plan.rpcs.get(fate.rpc);
    if (rpc === undefined) return this.#answer(message, failed(refusalOf({ kind: "skip" })));
    if (delivery.redelivered && !mayRunAgain(rpc)) return this.#answer(message, failed(outcomeUnknown()));
    switch (await records.before([message])) {
      case "duplicate": {
        const text = `handled before, nothing was done: message ${message.event?.id}`;
        await this.#answer(message, failed(new ConnectError(text, Code.AlreadyExists)));
        return settle("duplicate");
      }
      case "crash-loop":
        return this.#answer(message, failed(outcomeUnknown()));
      case "wait":
        return hold(inboxWaitMs);
      case "run":
        return this.#run(message, rpc);
    }
  }

  async #run(message: Consumed, rpc: RpcPlan): Promise<Disposition> {
    const { end, context, inboxRun } = await this.#parts.run(message, rpc);
    // Another consumer answers it, or this one when it comes again.
    if (end.kind !== "ok" && message.abortedBy !== undefined) {
      return release(message.isLost ? "lost" : "drain");
    }
    const answered = await this.#answer(message, resultOf(end, context));
    if (inboxRun.duplicates.length > 0) return settle("duplicate");
    if (end.kind !== "ok") return answered;
    message.isHandled = true;
    return this.#record(message, inboxRun);
  }

  async #record(message: Consumed, run: InboxRun | undefined): Promise<Disposition> {
    return (await this.#parts.records.after([message], run)) ? settle("ok") : hold(inboxWaitMs);
  }

  async #answer(message: Consumed, result: CallResult): Promise<Disposition> {
    message.answer = replyMessage(result);
    try {
      await message.delivery.reply?.(message.answer);
    } catch (reason) {
      this.#parts.unanswered(message, reason); // Its caller learns at the deadline that there is none.
    }
    return settle("ok");
  }
}

/** Whether the sender of a message waits for a reply. Events have none, whatever their messages say. */
export function isCall({ delivery, fate }: Consumed, { rpcs }: SubscriptionPlan): boolean {
  if (delivery.reply === undefined) return false;
  if (fate.kind === "run") return fate.rpc.kind === "command";
  for (const { kind } of rpcs.keys()) if (kind === "command") return true;
  return false;
}

/**
 * The reply of a call that waits while its consumer stops: what is given back would be taken for one that has run.
 *
 * @returns undefined for what can be given back
 */
export function stopReply(message: Consumed, plan: SubscriptionPlan): ReplyMessage | undefined {
  const { fate, hasBegun, delivery } = message;
  if (hasBegun || delivery.redelivered || fate.kind !== "run" || !isCall(message, plan)) return undefined;
  const rpc = plan.rpcs.get(fate.rpc);
  if (rpc === undefined || mayRunAgain(rpc)) return undefined;
  return replyMessage(failed(new ConnectError("not run: the consumer stops", Code.Unavailable)));
}

function mayRunAgain({ rpc: { method } }: RpcPlan): boolean {
  return method.idempotency === Level.NO_SIDE_EFFECTS || method.idempotency === Level.IDEMPOTENT;
}

function outcomeUnknown(): ConnectError {
  return new ConnectError("the consumer ended during the call; its outcome is unknown", Code.Unavailable);
}

/** What the caller gets for a message that is no call of an rpc. */
function refusalOf(fate: Exclude<Fate, { readonly kind: "run" }>): ConnectError {
  if (fate.kind === "skip") return new ConnectError("the consumer skips this message", Code.Aborted);
  return new ConnectError(fate.why, codes[fate.reason] ?? Code.Internal);
}

const codes: Readonly<Partial<Record<DeadReason, Code>>> = {
  undecodable: Code.InvalidArgument,
  "too-large": Code.ResourceExhausted,
  "unknown-type": Code.Unimplemented,
};

function failed(error: ConnectError): CallResult {
  return { error, body: empty, headers: undefined, trailers: undefined };
}

function resultOf(end: CallEnd, context: CallContext): CallResult {
  const { responseHeaderIfAny: headers, responseTrailerIfAny: trailers } = context;
  switch (end.kind) {
    case "ok":
      return { error: undefined, body: end.reply ?? empty, headers, trailers };
    case "unreadable": {
      const [{ kind, why } = { kind: "undecodable", why: "its body cannot be read" } as const] =
        end.messages.values();
      return failed(refusalOf({ kind: "dead", reason: kind, why }));
    }
    case "failed":
    case "refused": {
      const { error } = end;
      const all = new Headers(trailers);
      for (const [name, value] of ownMetadata(error, headers, trailers)) all.append(name, value);
      return { error, body: empty, headers, trailers: all };
    }
  }
}
