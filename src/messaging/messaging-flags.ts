import { choiceFlag, countFlag, optionalFlag, textFlag } from "../core/config/flag-kinds.ts";
import type { FlagValues } from "../core/config/flags.ts";
import type { MessageServerOptions } from "./message-server-options.ts";

/** Flags of programs that read messages of a broker. */
export const messagingFlags = {
  broker: textFlag("URL", "memory:", "The broker: memory: is this process alone, amqp://HOST is RabbitMQ"),
  consumeConcurrency: countFlag(32, "Most handlers at once, for each topic and group"),
  consumeGroup: optionalFlag("NAME", "Read as this group, in place of that of the contract"),
  consumeFrom: choiceFlag(["start", "new"], "start", "Where a group begins that has not read before"),
} as const;

/**
 * What the flags say of a `MessageServer`; `group` is for the overrides of `addService`. Twice as many messages are fetched
 * as are handled at once: with more, each would wait for so long that brokers take them back.
 */
export function messagingOptions({
  consumeConcurrency: concurrency,
  consumeGroup: group,
  consumeFrom: from,
}: FlagValues<typeof messagingFlags>): {
  readonly options: Pick<MessageServerOptions, "concurrency" | "prefetch" | "from">;
  readonly group: string | undefined;
} {
  return { options: { concurrency, prefetch: 2 * concurrency, from }, group };
}
