import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type DeadLetterSchema,
  type DeadLetterSelection,
  MessageAdminService as descriptor,
  type SubscriptionSchema,
} from "../../gen/ts_ms/messaging/v1/admin_pb.ts";
import type { Service } from "../core/call/service.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { DeadLetter } from "./broker.ts";
import { eventOf } from "./cloud-event.ts";
import type { DeadLetters, DeadSelection } from "./dead-letter-box.ts";
import type { SubscriptionStatistics } from "./subscription-statistics.ts";

/** A server of messages, as the service shows and changes it. */
export interface AdministeredMessages {
  readonly subscriptions: readonly SubscriptionStatistics[];
  /** How many messages wait at the broker, by partition. */
  lag(topic: string, group: string): Promise<ReadonlyMap<number, number>>;
  pause(topic: string, group: string): void;
  resume(topic: string, group: string): void;
  deadLetters(topic: string, group: string): DeadLetters;
  skip(topic: string, group: string, partition: number | undefined, offset: bigint): void;
}

/** Who may use the service. */
export interface MessageAdminOptions {
  /** Decides on every call before anything else; what it throws refuses the call. */
  readonly allow: (context: HandlerContext) => void | Promise<void>;
}

/**
 * The service that shows what a server of messages reads and could not handle, and changes it. Its contract,
 * `ts_ms/messaging/v1/admin.proto`, documents each rpc.
 *
 * @throws SetupError without `allow`
 */
export function messageAdminService(
  messages: AdministeredMessages,
  { allow }: MessageAdminOptions,
): Service<typeof descriptor> {
  if (typeof allow !== "function") {
    throw new SetupError(
      "messages.admin: the option allow must be a function that decides who may read messages, and drop them",
    );
  }
  /** A handler behind `allow`, about a subscription that there is. */
  const guarded =
    <Q extends { readonly topic: string; readonly group: string }, R>(
      handler: (request: Q, context: HandlerContext) => Promise<R>,
    ) =>
    async (request: Q, context: HandlerContext): Promise<R> => {
      await allow(context);
      checkSubscription(messages, request.topic, request.group);
      return handler(request, context);
    };
  return {
    descriptor,
    async listSubscriptions(_request, context) {
      await allow(context);
      const { subscriptions } = messages;
      return {
        subscriptions: await Promise.all(subscriptions.map((each) => fromStatistics(messages, each))),
      };
    },
    pauseSubscription: guarded(async ({ topic, group }) => {
      messages.pause(topic, group);
      return {};
    }),
    resumeSubscription: guarded(async ({ topic, group }) => {
      messages.resume(topic, group);
      return {};
    }),
    listDeadLetters: guarded(async ({ topic, group, selection }, { signal }) => {
      const box = messages.deadLetters(topic, group);
      const deadLetters: MessageInitShape<typeof DeadLetterSchema>[] = [];
      for await (const letter of box.list({ ...toSelection(selection), signal }))
        deadLetters.push(fromLetter(letter));
      return { deadLetters, count: BigInt(await box.count()) };
    }),
    replayDeadLetters: guarded(async ({ topic, group, selection, rate }, { signal }) => {
      if (!(rate >= 0)) throw new ConnectError("rate: must be 0 or above", Code.InvalidArgument);
      const meant = { ...toSelection(selection), signal, ...(rate > 0 && { rate }) };
      return { replayed: BigInt(await messages.deadLetters(topic, group).replay(meant)) };
    }),
    dropDeadLetters: guarded(async ({ topic, group, selection }, { signal }) => ({
      dropped: BigInt(await messages.deadLetters(topic, group).drop({ ...toSelection(selection), signal })),
    })),
    skipMessage: guarded(async ({ topic, group, partition, offset }) => {
      messages.skip(topic, group, partition < 0 ? undefined : partition, offset);
      return {};
    }),
  };
}

function checkSubscription({ subscriptions }: AdministeredMessages, topic: string, group: string): void {
  if (subscriptions.some((each) => each.topic === topic && each.group === group)) return;
  throw new ConnectError(
    `there is no subscription of the group ${JSON.stringify(group)} to the topic ${JSON.stringify(topic)}`,
    Code.NotFound,
  );
}

async function fromStatistics(
  messages: AdministeredMessages,
  { isConnected, breaker, pauses, rpcs, ...counts }: SubscriptionStatistics,
): Promise<MessageInitShape<typeof SubscriptionSchema>> {
  const { topic, group, bufferedBytes, received, settled, released, dead, ...rest } = counts;
  // A broker that is away does not say; all else is shown.
  const lag = await messages.lag(topic, group).catch(() => new Map<number, number>());
  return {
    ...rest,
    topic,
    group,
    rpcs: { ...rpcs },
    connected: isConnected,
    pauses: [...pauses],
    breaker: breaker ?? "",
    bufferedBytes: BigInt(bufferedBytes),
    received: BigInt(received),
    settled: bigCounts(settled),
    released: bigCounts(released),
    dead: bigCounts(dead),
    lag: Object.fromEntries([...lag].map(([partition, count]) => [partition, BigInt(count)])),
  };
}

function bigCounts(counts: Readonly<Record<string, number>>): Record<string, bigint> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, BigInt(count)]));
}

function toSelection(selection: DeadLetterSelection | undefined): Partial<DeadSelection> {
  if (selection === undefined) return {};
  const { ids, reason, type, since, before, limit } = selection;
  return {
    ...(ids.length > 0 && { ids }),
    ...(reason !== "" && { reason }),
    ...(type !== "" && { type }),
    ...(since !== undefined && { sinceMs: timestampMs(since) }),
    ...(before !== undefined && { beforeMs: timestampMs(before) }),
    ...(limit > 0 && { limit }),
  };
}

function fromLetter({ message }: DeadLetter): MessageInitShape<typeof DeadLetterSchema> {
  const read = eventOf(message);
  const event = read.kind === "event" ? read.event : undefined;
  return {
    id: event?.id ?? "",
    source: event?.source ?? "",
    type: event?.type ?? "",
    key: message.key ?? "",
    headers: Object.fromEntries(read.headers),
    contentType: message.contentType ?? "",
    body: message.body ?? new Uint8Array(0),
  };
}
