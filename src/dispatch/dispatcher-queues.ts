import type { AdministeredMessages } from "../messaging/admin-service.ts";
import type { MessageServer } from "../messaging/message-server.ts";
import type { SubscriptionStatistics } from "../messaging/subscription-statistics.ts";

/**
 * The queues of a dispatcher as a service shows and changes them.
 *
 * @param of the server that reads a topic
 */
export function dispatcherQueues(
  queues: () => readonly SubscriptionStatistics[],
  of: (topic: string) => MessageServer,
): AdministeredMessages {
  return {
    get subscriptions() {
      return queues();
    },
    lag: (topic, group) => of(topic).lag(topic, group),
    pause: (topic, group) => of(topic).pause(topic, group),
    resume: (topic, group) => of(topic).resume(topic, group),
    deadLetters: (topic, group) => of(topic).deadLetters(topic, group),
    skip: (topic, group, partition, offset) => of(topic).skip(topic, group, partition, offset),
  };
}
