import { SetupError } from "../core/errors/setup-error.ts";
import type { GroupQueue } from "./broker.ts";

/** The longest name of a queue, in bytes: that of Kafka, which has the lowest limit of all brokers. */
export const longestQueueName = 249;

const nameForm = /^[A-Za-z0-9._-]+$/;
/** What a queue of a group ends in. A group of such a name would share the queue of another group. */
const reservedEnd = /\.(?:retry-\d+|again|dead)$/;
const longestDelayMs = 2 ** 31 - 1;

/**
 * The name of a queue of a group: on RabbitMQ of a queue, on Kafka of a topic, on NATS of a subject. It has not the
 * prefix of the broker.
 *
 * @param queue Default: the queue by which the group reads its topic, `TOPIC.GROUP`, or one name where both are equal.
 */
export function queueName(topic: string, group: string, queue?: GroupQueue): string {
  const name = topic === group ? topic : `${topic}.${group}`;
  switch (queue?.kind) {
    case undefined:
      return name;
    case "retry":
      return `${name}.retry-${queue.delayMs}`;
    case "again":
    case "dead":
      return `${name}.${queue.kind}`;
  }
}

/**
 * Refuses the name of a topic or a group that brokers cannot have.
 *
 * @param owner what has the name, for errors: an rpc or message with its file, or an option
 * @throws SetupError naming the owner and the name
 */
export function checkName(owner: string, what: "topic" | "group", name: string): void {
  const wrong = (why: string): SetupError =>
    new SetupError(`${owner}: the ${what} ${JSON.stringify(name)} ${why}`);
  if (!nameForm.test(name)) throw wrong("must consist of letters, digits and ._-");
  if (/^\.+$/.test(name)) throw wrong("must have a letter or a digit");
  if (reservedEnd.test(name)) {
    throw wrong("ends as the retry, replay and dead-letter queues of groups do: choose another end");
  }
  if (name.length > longestQueueName) {
    throw wrong(`has ${name.length} characters: brokers take ${longestQueueName}`);
  }
}

/**
 * Refuses a topic and a group whose queues have names that are too long or not possible.
 *
 * @param prefix what the broker puts before each name. Default: nothing.
 * @throws SetupError naming the owner, and the topic or group
 */
export function checkQueueNames(owner: string, topic: string, group: string, prefix = ""): void {
  checkName(owner, "topic", topic);
  checkName(owner, "group", group);
  const longest = prefix + queueName(topic, group, { kind: "retry", delayMs: longestDelayMs });
  if (longest.length <= longestQueueName) return;
  throw new SetupError(
    `${owner}: the topic ${JSON.stringify(topic)} and the group ${JSON.stringify(group)} make names of queues such as ` +
      `${longest}, of ${longest.length} characters: brokers take ${longestQueueName}`,
  );
}
