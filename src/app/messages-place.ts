import { Code, ConnectError } from "../core/errors/errors.ts";
import type { AdministeredMessages } from "../messaging/admin-service.ts";
import type { DeadLetters } from "../messaging/dead-letter-box.ts";
import type { SubscriptionStatistics } from "../messaging/subscription-statistics.ts";

/** Where the server of messages of an app stands: what its admin service shows and changes is whatever runs now. */
export class MessagesPlace implements AdministeredMessages {
  /** What the latest start has made; undefined before the first. */
  running: AdministeredMessages | undefined;

  get subscriptions(): readonly SubscriptionStatistics[] {
    return this.running?.subscriptions ?? [];
  }

  lag(topic: string, group: string): Promise<ReadonlyMap<number, number>> {
    return this.#server.lag(topic, group);
  }

  pause(topic: string, group: string): void {
    this.#server.pause(topic, group);
  }

  resume(topic: string, group: string): void {
    this.#server.resume(topic, group);
  }

  deadLetters(topic: string, group: string): DeadLetters {
    return this.#server.deadLetters(topic, group);
  }

  skip(topic: string, group: string, partition: number | undefined, offset: bigint): void {
    this.#server.skip(topic, group, partition, offset);
  }

  /** @throws ConnectError UNAVAILABLE before the first start */
  get #server(): AdministeredMessages {
    if (this.running !== undefined) return this.running;
    throw new ConnectError("no messages are read yet", Code.Unavailable);
  }
}
