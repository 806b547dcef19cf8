import { inspect } from "node:util";
import { type FaultLogger, type FaultLogOptions, writeFault } from "../core/call/fault-log.ts";
import type { ConnectError } from "../core/errors/errors.ts";
import type { OutgoingMessage } from "./broker.ts";
import type { Consumed } from "./consumed.ts";
import type { DeadReason } from "./outcome.ts";

/**
 * What a subscription logs, all of it as errors: messages that wait for a queue, are dead letters or are dropped,
 * subscriptions that cannot be made, and faults of ours.
 */
export class SubscriptionLog {
  readonly #logger: FaultLogger | undefined;

  constructor({ logger }: FaultLogOptions) {
    this.#logger = logger === false ? undefined : (logger ?? standardError);
  }

  /** A move has failed for the first time; it is tried again. */
  moveFails({ to, event }: OutgoingMessage, error: ConnectError): void {
    const queue = to.kind === "queue" ? to.queue.kind : "topic";
    const group = to.kind === "queue" ? to.group : "";
    const fields = { topic: to.topic, group, queue, id: event?.id, reason: error.message };
    this.#write(fields, "a message cannot be moved, and stays until it can be");
  }

  /** A message that could not be handled is dropped, since dead letters are off. */
  lost(message: Consumed, reason: DeadReason, why: string): void {
    const fields = { ...placeOf(message), reason, why };
    this.#write(fields, "a message that could not be handled is dropped: dead letters are off");
  }

  /** A message that could not be handled is in the dead-letter queue. */
  buried(message: Consumed, reason: DeadReason, why: string): void {
    const { attempts } = message;
    this.#write({ ...placeOf(message), attempts, reason, why }, "a message is a dead letter");
  }

  /** The broker has not taken the reply of a call. */
  unanswered({ event, fate }: Consumed, reason: unknown): void {
    const rpc = fate.kind === "run" ? fate.rpc.name : undefined;
    this.#write({ id: event?.id, source: event?.source, rpc, err: reason }, "a call cannot be answered");
  }

  /** The subscription of a contract that has come later cannot be made: its messages wait at the broker. */
  unusable(topic: string, group: string, reason: unknown): void {
    this.#write({ topic, group, err: reason }, "messages cannot be read");
  }

  fault(reason: unknown): void {
    this.#write({ err: reason }, "unexpected exception while a message was handled");
  }

  #write(fields: Readonly<Record<string, unknown>>, text: string): void {
    writeFault(this.#logger, fields, text);
  }
}

/** What message it is, and where it was. */
function placeOf({ event, delivery, fate }: Consumed): Readonly<Record<string, unknown>> {
  const { partition, offset } = delivery;
  const rpc = fate.kind === "run" ? fate.rpc.name : undefined;
  const { id, source, type } = event ?? {};
  return { id, source, type, rpc, partition, offset: offset?.toString() };
}

const standardError: FaultLogger = {
  error(fields, text) {
    process.stderr.write(`${text}: ${inspect(fields, { breakLength: Infinity })}\n`);
  },
};
