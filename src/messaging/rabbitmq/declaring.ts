import { Code, ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { type AmqpLine, replyCodeOf, textOf, unavailable } from "./amqp-line.ts";
import type { Channel } from "./peer.ts";
import type { GroupTopology, QueueDeclaration, ReadQueue } from "./topology.ts";

/** Numbers of AMQP by which RabbitMQ closes a channel. */
export const replyCodes = { refused: 403, missing: 404, locked: 405, otherwise: 406 } as const;

/**
 * Makes the exchange of a topic where it is missing, or only looks for it.
 *
 * @throws SetupError if something of its name is there in another form, or if it is missing and must not be made
 */
export async function declareExchange(line: AmqpLine, exchange: string, isMade: boolean): Promise<void> {
  await line.use((channel) => assertExchange(channel, exchange, isMade));
}

/**
 * Makes what is missing of a group, or only looks for it.
 *
 * @throws SetupError with queue, argument and both values if something is there in another form
 */
export async function declareGroup(line: AmqpLine, topology: GroupTopology, isMade: boolean): Promise<void> {
  await line.use(async (channel) => {
    const { exchange, reads, others } = topology;
    await assertExchange(channel, exchange, isMade);
    for (const queue of [...others, ...reads]) await assertQueue(channel, queue, isMade);
    if (!isMade) return;
    for (const { name, patterns } of reads) {
      for (const pattern of patterns) await channel.bindQueue(name, exchange, pattern);
    }
  });
}

/**
 * Takes away the bindings that a group with another number of partitions had. Resolves with the queues that it has left
 * over, which take nothing any more and are read until they are deleted.
 */
export async function endOtherPartitions(
  line: AmqpLine,
  topology: GroupTopology,
  isMade: boolean,
): Promise<ReadQueue[]> {
  const leftOver: ReadQueue[] = [];
  for (const queue of topology.leftOver) {
    if (!(await isThere(line, queue.name))) break;
    leftOver.push(queue);
  }
  if (isMade) {
    await line.use(async (channel) => {
      for (const { name, gonePatterns } of [...topology.reads, ...leftOver]) {
        for (const pattern of gonePatterns) await channel.unbindQueue(name, topology.exchange, pattern);
      }
    });
  }
  return leftOver;
}

/** Whether there is a queue of this name. */
async function isThere(line: AmqpLine, name: string): Promise<boolean> {
  try {
    await line.use((channel) => channel.checkQueue(name));
    return true;
  } catch (reason) {
    if (replyCodeOf(reason) === replyCodes.missing) return false;
    throw reason;
  }
}

async function assertExchange(channel: Channel, exchange: string, isMade: boolean): Promise<void> {
  try {
    await (isMade
      ? channel.assertExchange(exchange, "topic", { durable: true })
      : channel.checkExchange(exchange));
  } catch (reason) {
    throw declarationError(reason);
  }
}

/** Makes a queue where it is missing, or only looks for it. @throws as `declareGroup` */
export async function assertQueue(channel: Channel, queue: QueueDeclaration, isMade: boolean): Promise<void> {
  try {
    await (isMade
      ? channel.assertQueue(queue.name, { durable: true, arguments: queue.args })
      : channel.checkQueue(queue.name));
  } catch (reason) {
    throw declarationError(reason);
  }
}

/** The value of an argument as RabbitMQ shows it: `the value '10' of type 'signedint'`, `'true'`, `none`. */
const shown = /(?:the value )?(?:'([^']*)'(?: of type '\w+')?|none)/.source;
const inequivalent = new RegExp(
  `inequivalent arg '([^']+)' for (queue|exchange) '([^']*)'.*?: received (${shown}) but current is (${shown})`,
);

/**
 * The error of a refused declaration: a SetupError where only other options or another queue can help, otherwise what
 * RabbitMQ has said.
 */
export function declarationError(reason: unknown): Error {
  const text = textOf(reason);
  const code = replyCodeOf(reason);
  const [, argument, kind, name, , asked = "nothing", , there = "nothing"] = inequivalent.exec(text) ?? [];
  if (argument !== undefined) {
    return new SetupError(
      `RabbitMQ: the ${kind} ${name} is there with ${argument} ${there}, and ${asked} is asked for: ` +
        `delete it, or give the options that it was made with`,
      { cause: reason },
    );
  }
  if (code === replyCodes.missing) {
    return new SetupError(`RabbitMQ: ${text}, and it is not to be made`, { cause: reason });
  }
  if (code === replyCodes.otherwise || code === replyCodes.locked) {
    return new SetupError(`RabbitMQ: ${text}`, { cause: reason });
  }
  if (code === replyCodes.refused) {
    return new ConnectError(`RabbitMQ: ${text}`, Code.PermissionDenied, undefined, undefined, reason);
  }
  return unavailable(reason);
}
