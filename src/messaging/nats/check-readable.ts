import { SetupError } from "../../core/errors/setup-error.ts";
import type { SubscriptionSpec } from "../broker.ts";
import { checkQueueNames } from "../queue-names.ts";
import type { FullNatsOptions } from "./nats-options.ts";

/** Refuses what cannot be read over NATS. @throws SetupError naming topic and group, and what helps */
export function checkReadable(
  { topic, group, ordering, broadcast }: SubscriptionSpec,
  { prefix, singleReader }: Pick<FullNatsOptions, "prefix" | "singleReader">,
): void {
  checkQueueNames("NATS", topic, group, prefix);
  for (const name of [topic, group]) {
    if (/^\.|\.\.|\.$/.test(name)) {
      throw new SetupError(`NATS: ${JSON.stringify(name)} has a dot at its start or end, or behind another`);
    }
  }
  if (ordering === "none" || broadcast || singleReader) return;
  throw new SetupError(
    `NATS: the group ${group} of the topic ${topic} is ordered, and NATS keeps no order of a key among processes: ` +
      "have one process at a time read it, and say so by `singleReader: true`, or let it be without an order",
  );
}
