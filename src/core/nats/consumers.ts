import type { ConsumerConfig, ConsumerInfo } from "@nats-io/jetstream";
import type { NatsLine } from "./nats-line.ts";
import { codeOf } from "./streams.ts";

/** A durable consumer of JetStream as it is to be, whose messages are asked for. */
export interface ConsumerPlan {
  readonly stream: string;
  readonly name: string;
  /** The subject that it takes of the stream. */
  readonly subject: string;
  /** Whether it begins with the first message that there is, or with the next one. It counts where it is made. */
  readonly from: "start" | "new";
  /** Behind how long a message is delivered again that is neither settled nor worked at, in milliseconds. */
  readonly ackWaitMs: number;
  /** Most messages, of all its readers, that are not settled; −1 for any number. */
  readonly maxUnsettled: number;
  /** Behind how long without a reader it goes, in milliseconds; 0 for never. */
  readonly expiresMs: number;
}

/** A consumer as it is. */
export type ConsumerFound = ConsumerInfo;

const msInNs = 1_000_000;
const noConsumer = 10_014;

/** The consumer as it is planned: it is made, or changed, where it is not. @throws Error of NATS */
export async function ensureConsumer({ manager }: NatsLine, plan: ConsumerPlan): Promise<ConsumerFound> {
  const { consumers } = manager;
  const found = await findConsumer(manager, plan.stream, plan.name);
  if (found === undefined) return consumers.add(plan.stream, configOf(plan));
  const { ack_wait, max_ack_pending, filter_subject } = configOf(plan);
  const { config } = found;
  const isSame =
    config.ack_wait === ack_wait &&
    config.max_ack_pending === max_ack_pending &&
    config.filter_subject === filter_subject;
  if (isSame) return found;
  return consumers.update(plan.stream, plan.name, { ack_wait, max_ack_pending, filter_subject });
}

/** A consumer as it is; undefined where there is none. @throws Error of NATS */
export function findConsumer(
  { consumers }: NatsLine["manager"],
  stream: string,
  name: string,
): Promise<ConsumerFound | undefined> {
  return consumers.info(stream, name).catch((reason: unknown) => {
    if (codeOf(reason) === noConsumer) return undefined;
    throw reason;
  });
}

function configOf(plan: ConsumerPlan) {
  return {
    durable_name: plan.name,
    filter_subject: plan.subject,
    deliver_policy: plan.from === "start" ? "all" : "new",
    ack_policy: "explicit",
    ack_wait: plan.ackWaitMs * msInNs,
    max_ack_pending: plan.maxUnsettled,
    max_deliver: -1,
    ...(plan.expiresMs > 0 && { inactive_threshold: plan.expiresMs * msInNs }),
  } satisfies Partial<ConsumerConfig>;
}
