import { type ChildProcess, fork } from "node:child_process";
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Broker } from "../../../src/messaging/broker.ts";
import { kafka } from "../../../src/messaging/kafka/kafka.ts";
import type { KafkaOptions } from "../../../src/messaging/kafka/kafka-options.ts";
import type { HandledRun, ReaderSettings } from "../../support/kafka-reader.ts";
import { KafkaServer, withoutKafka } from "../../support/kafka-server.ts";

/** A Kafka for all tests of a file, with brokers and reading processes that use it. */
export interface KafkaFixture {
  readonly server: KafkaServer;
  /** A broker as of a process of its own, which ends with the file. */
  broker(options?: Partial<KafkaOptions>): Promise<Broker>;
  /** A process that reads, which ends with the file. */
  reader(settings: Pick<ReaderSettings, "topic" | "group"> & Partial<ReaderSettings>): Promise<ReaderProcess>;
}

/** Starts one before the tests of the file, and stops it behind them. */
export function kafkaFixture(): KafkaFixture {
  const brokers: Broker[] = [];
  const readers: ReaderProcess[] = [];
  let server: KafkaServer | undefined;
  before(async () => {
    if (withoutKafka === false) server = await KafkaServer.start();
  });
  after(async () => {
    for (const reader of readers) await reader.kill();
    await Promise.all(brokers.map((broker) => broker.gracefulStop({ graceMs: 0 })));
    await server?.stop();
  });
  return {
    get server() {
      assert.ok(server !== undefined);
      return server;
    },
    async broker(options = {}) {
      const broker = await kafka({ url: this.server.url, ...options });
      brokers.push(broker);
      return broker;
    },
    async reader({ options, spec = {}, workMs = 0, blocks = false, ...names }) {
      const settings = { options: { url: this.server.url, ...options }, spec, workMs, blocks, ...names };
      const reader = new ReaderProcess(settings);
      readers.push(reader);
      await reader.ready;
      return reader;
    },
  };
}

/** A process that reads. */
export class ReaderProcess {
  readonly ready: Promise<void>;
  /** What it has handled. */
  readonly runs: HandledRun[] = [];
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  /** Whether it has been killed: what it ran then was not finished. */
  isKilled = false;

  constructor(settings: ReaderSettings) {
    const program = join(import.meta.dirname, "../../support/kafka-reader.ts");
    this.#process = fork(program, [JSON.stringify(settings)], {
      execArgv: [], // Those of the test runner are not for it.
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.#ended = new Promise((resolve) => this.#process.once("exit", () => resolve()));
    this.ready = new Promise((resolve, reject) => {
      this.#process.on("message", (message) => {
        if (message === "ready") resolve();
        else this.runs.push(message as HandledRun); // As the program sends it.
      });
      this.#process.once("exit", () => reject(new Error("the reader has ended")));
    });
    this.ready.catch(() => {}); // It is awaited by who has started it.
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.isKilled = true;
    this.#process.kill("SIGKILL");
    await this.#ended;
  }

  /** Ends it as a deployment does. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    await this.#ended;
  }
}

/** Resolves when something holds. */
export async function soon(holds: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  while (!(await holds())) {
    assert.ok(performance.now() < untilMs, `not within ${withinMs} ms`);
    await sleep(20);
  }
}
