import type { AdministeredMessages } from "../messaging/admin-service.ts";
import type { DeadLetters } from "../messaging/dead-letter-box.ts";
import type { SubscriptionStatistics } from "../messaging/subscription-statistics.ts";

/** The queues of several servers of messages as those of one. */
export class AdministeredQueues implements AdministeredMessages {
  readonly #parts: readonly AdministeredMessages[];

  constructor(parts: readonly AdministeredMessages[]) {
    this.#parts = parts;
  }

  get subscriptions(): readonly SubscriptionStatistics[] {
    return this.#parts.flatMap(({ subscriptions }) => subscriptions);
  }

  lag(topic: string, group: string): Promise<ReadonlyMap<number, number>> {
    return this.#of(topic, group).lag(topic, group);
  }

  pause(topic: string, group: string): void {
    this.#of(topic, group).pause(topic, group);
  }

  resume(topic: string, group: string): void {
    this.#of(topic, group).resume(topic, group);
  }

  deadLetters(topic: string, group: string): DeadLetters {
    return this.#of(topic, group).deadLetters(topic, group);
  }

  skip(topic: string, group: string, partition: number | undefined, offset: bigint): void {
    this.#of(topic, group).skip(topic, group, partition, offset);
  }

  /** The service asks about queues alone that are in the list. */
  #of(topic: string, group: string): AdministeredMessages {
    const found = this.#parts.find(({ subscriptions }) =>
      subscriptions.some((each) => each.topic === topic && each.group === group),
    );
    if (found !== undefined) return found;
    throw new RangeError(`there is no queue of the topic ${topic} and the group ${group}`);
  }
}
