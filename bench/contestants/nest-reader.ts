import { createRequire } from "node:module";
import { join } from "node:path";
import amqplib from "amqplib";
import type { QueueReader } from "./queue-reader.ts";

/** What is used of the packages of NestJS, which are none of this project. */
interface Nest {
  readonly Controller: () => (target: object) => void;
  readonly Module: (metadata: { readonly controllers: readonly object[] }) => (target: object) => void;
  readonly NestFactory: {
    createMicroservice(module: object, options: object): Promise<Microservice>;
  };
  readonly EventPattern: (pattern: string) => (...place: readonly unknown[]) => void;
  readonly Payload: () => (...place: readonly unknown[]) => void;
  readonly Ctx: () => (...place: readonly unknown[]) => void;
  readonly Transport: { readonly RMQ: number };
}

interface Microservice {
  listen(): Promise<void>;
  close(): Promise<void>;
}

interface RmqContext {
  getChannelRef(): { ack(message: unknown): void };
  getMessage(): unknown;
}

/** What a reader is made of. */
export interface NestReaderParts {
  readonly url: string;
  readonly queue: string;
  /** Where NestJS is installed. */
  readonly folder: string;
  readonly handled: (count: number) => void;
}

/**
 * A microservice of NestJS with one handler of events, which acknowledges each. It is started and closed for each time of
 * reading, as it cannot pause.
 */
export async function nestReader({ url, queue, folder, handled }: NestReaderParts): Promise<QueueReader> {
  const nest = loadNest(folder);
  class StockController {
    counted({ count }: { readonly count: number }, context: RmqContext): void {
      handled(count);
      context.getChannelRef().ack(context.getMessage());
    }
  }
  const { prototype } = StockController;
  // What the decorators of a program of NestJS do.
  nest.Payload()(prototype, "counted", 0);
  nest.Ctx()(prototype, "counted", 1);
  nest.EventPattern("stock.counted")(
    prototype,
    "counted",
    Object.getOwnPropertyDescriptor(prototype, "counted"),
  );
  nest.Controller()(StockController);
  class StockModule {}
  nest.Module({ controllers: [StockController] })(StockModule);
  const options = {
    urls: [url],
    queue,
    noAck: false,
    prefetchCount: 64, // As ours has it.
    queueOptions: { durable: true, arguments: { "x-queue-type": "quorum" } },
  };
  let running: Microservice | undefined;
  const read = async (): Promise<void> => {
    running = await nest.NestFactory.createMicroservice(StockModule, {
      transport: nest.Transport.RMQ,
      options,
      logger: false,
    });
    await running.listen();
  };
  const stop = async (): Promise<void> => running?.close();
  // It cannot be closed before it has begun to read, so the queue is made without it.
  const connection = await amqplib.connect(url);
  await (await connection.createChannel()).assertQueue(queue, options.queueOptions);
  await connection.close();
  return { queue, read, stop };
}

function loadNest(folder: string): Nest {
  const require = createRequire(join(folder, "package.json"));
  const names = ["reflect-metadata", "@nestjs/core", "@nestjs/common", "@nestjs/microservices"];
  const packages = names.map((name) => require(name) as object); // The first one is for the others.
  return Object.assign({}, ...packages) as Nest; // As their documentation says.
}
