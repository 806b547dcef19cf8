import { kafka } from "../../src/messaging/kafka/kafka.ts";
import type { KafkaOptions } from "../../src/messaging/kafka/kafka-options.ts";
import type { Delivery, SubscriptionSpec } from "../../src/messaging/broker.ts";
import { specOf, textOf } from "./brokers/readings.ts";

/** What a process that reads is started with, as JSON. */
export interface ReaderSettings {
  readonly options: Partial<KafkaOptions>;
  readonly topic: string;
  readonly group: string;
  readonly spec: Partial<SubscriptionSpec>;
  /** How long each message is worked on, in milliseconds; 0 for a turn of the event loop. */
  readonly workMs: number;
  /** Whether messages that say so stop its event loop. */
  readonly blocks: boolean;
}

/** What it says of each message that it has handled. Times are those of the machine, in milliseconds. */
export interface HandledRun {
  readonly key: string;
  readonly text: string;
  readonly partition: number;
  readonly offset: number;
  readonly beganMs: number;
  readonly endedMs: number;
  /** Whether it was taken from this process while it ran. */
  readonly isLost: boolean;
}

/** What begins the text of a message that stops the event loop, with the time in milliseconds behind it. */
export const blockText = "block ";

/** Reads in a process of its own that can be killed: lanes by key, as a message server has them. It ends on SIGTERM. */
if (process.argv[2] !== undefined && process.send !== undefined) await read(process.argv[2]);

async function read(json: string): Promise<void> {
  const settings = JSON.parse(json) as ReaderSettings; // As the test has made it.
  const { topic, group, spec, options } = settings;
  const broker = await kafka(options);
  const lanes = new Map<string, Promise<void>>();
  const receive = (delivery: Delivery): void => {
    const lane = `${delivery.partition} ${delivery.message.key ?? String(delivery.offset)}`;
    const before = lanes.get(lane) ?? Promise.resolve();
    const after = before.then(() => handle(delivery, settings));
    lanes.set(lane, after);
    void after.then(() => {
      if (lanes.get(lane) === after) lanes.delete(lane);
    });
  };
  const subscription = await broker.subscribe(specOf(topic, group, { ordering: "key", ...spec }), receive);
  process.once("SIGTERM", () => {
    void subscription
      .stop()
      .then(() => broker.gracefulStop({ graceMs: 1_000 }))
      .then(() => process.disconnect?.());
  });
  process.send?.("ready");
}

const now = (): number => performance.timeOrigin + performance.now();

async function handle(delivery: Delivery, { workMs, blocks }: ReaderSettings): Promise<void> {
  if (delivery.lost.aborted) return;
  const beganMs = now();
  const text = textOf(delivery.message) ?? "";
  if (blocks && text.startsWith(blockText)) {
    const untilMs = performance.now() + Number(text.slice(blockText.length));
    while (performance.now() < untilMs); // The event loop stands still.
  } else if (workMs > 0) await new Promise((resolve) => setTimeout(resolve, workMs));
  else await new Promise((resolve) => setImmediate(resolve));
  delivery.settle();
  const run: HandledRun = {
    key: delivery.message.key ?? "",
    text,
    partition: delivery.partition ?? -1,
    offset: Number(delivery.offset),
    beganMs,
    endedMs: now(),
    isLost: delivery.lost.aborted,
  };
  process.send?.(run);
}
