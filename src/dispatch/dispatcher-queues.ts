import type { Clock } from "../core/time/clock.ts";
import type { AdministeredMessages } from "../messaging/admin-service.ts";
import type { Broker } from "../messaging/broker.ts";
import { DeadLetters, type DeadLetterPlace } from "../messaging/dead-letter-box.ts";
import type { MessageServer } from "../messaging/message-server.ts";
import type { SubscriptionStatistics } from "../messaging/subscription-statistics.ts";
import type { LiveSubscriptions } from "./live-subscriptions.ts";
import type { OrderedQueues } from "./ordered-queues.ts";
import type { TaskQueue } from "./task-queue.ts";

/** The queues that a dispatcher reads. */
export interface DispatcherQueuesParts {
  readonly broker: Pick<Broker, "deadLetters" | "publish">;
  readonly clock: Clock;
  /** Reads the topics. */
  readonly matching: MessageServer;
  /** Reads tasks whose subscriptions have no order. */
  readonly unordered: MessageServer;
  /** Read the tasks of a subscription each. */
  readonly ordered: OrderedQueues;
  readonly tasks: TaskQueue;
  readonly live: Pick<LiveSubscriptions, "all">;
}

/** The queues of a dispatcher as it shows them, and as a service of operators shows and changes them. */
export class DispatcherQueues implements AdministeredMessages {
  readonly #parts: DispatcherQueuesParts;

  constructor(parts: DispatcherQueuesParts) {
    this.#parts = parts;
  }

  get subscriptions(): readonly SubscriptionStatistics[] {
    const { matching, unordered, ordered } = this.#parts;
    return [...matching.subscriptions, ...unordered.subscriptions, ...ordered.subscriptions];
  }

  lag(topic: string, group: string): Promise<ReadonlyMap<number, number>> {
    return this.#of(topic).lag(topic, group);
  }

  pause(topic: string, group: string): void {
    this.#of(topic).pause(topic, group);
  }

  resume(topic: string, group: string): void {
    this.#of(topic).resume(topic, group);
  }

  skip(topic: string, group: string, partition: number | undefined, offset: bigint): void {
    this.#of(topic).skip(topic, group, partition, offset);
  }

  /** Those of all deliveries are at the topic of tasks, whose ordered subscriptions have queues of their own. */
  deadLetters(topic: string, group: string): DeadLetters {
    const { broker, clock, tasks, unordered } = this.#parts;
    if (topic !== tasks.topic) return this.#of(topic).deadLetters(topic, group);
    unordered.find(topic, group);
    return new DeadLetters(broker, () => this.#placesOfTasks(), clock);
  }

  *#placesOfTasks(): Generator<DeadLetterPlace> {
    const { tasks, live } = this.#parts;
    const { group } = tasks;
    yield { topic: tasks.topic, group };
    for (const { uid, isOrdered } of live.all) if (isOrdered) yield { topic: tasks.orderedTopic(uid), group };
  }

  /** The server that reads a topic. */
  #of(topic: string): MessageServer {
    const { tasks, matching, unordered, ordered } = this.#parts;
    if (topic === tasks.topic) return unordered;
    return ordered.serverOf(topic) ?? matching;
  }
}
