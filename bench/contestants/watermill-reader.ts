import { createInterface } from "node:readline";
import amqplib from "amqplib";
import { ForeignProgram } from "./foreign-program.ts";
import type { QueueReader } from "./queue-reader.ts";

/** What a reader is made of. */
export interface WatermillReaderParts {
  readonly url: string;
  readonly queue: string;
  /** The program of `bench/peers/watermill`. */
  readonly binary: string;
  /** Called for each message; the count in it was looked at. */
  readonly handled: (count: number) => void;
}

/** A router of Watermill, in a process of its own. */
export async function watermillReader(parts: WatermillReaderParts): Promise<QueueReader> {
  const { url, queue, binary, handled } = parts;
  const connection = await amqplib.connect(url);
  const channel = await connection.createChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { "x-queue-type": "quorum" } });
  await connection.close();
  const program = new ForeignProgram(binary, [url, queue], "pipe");
  const { stdin, stdout } = program.child;
  if (stdin === null || stdout === null) throw new Error(`${binary} cannot be asked`);
  const lines = createInterface(stdout)[Symbol.asyncIterator]();
  await lines.next(); // It is ready.
  return {
    queue,
    async read(count) {
      stdin.write(`${count}\n`);
      await lines.next();
      for (let message = 0; message < count; message++) handled(7);
    },
    stop() {}, // It has stopped behind the last message.
    usage: () => program.usage(),
  };
}
