import { latenciesOf, type Latencies } from "../latencies.ts";

/** The resources that a contestant has used so far. */
export interface Usage {
  /** CPU time of all threads, user and system, in microseconds. */
  readonly cpuUs: number;
  readonly rssBytes: number;
}

/** A request from the bench. */
export interface Question {
  readonly ask: "usage" | "live" | "work" | "latencies" | "sample" | "publish";
  /** How long to work, in milliseconds. */
  readonly ms?: number;
  /** How many messages to publish. */
  readonly count?: number;
}

/** A response to the bench; members that were not requested are empty. */
export interface Answer extends Usage {
  readonly id: number;
  readonly heapBytes: number;
  readonly calls: number;
  readonly latencies: Latencies;
  readonly sample: string;
}

/** The functions of a contestant. */
export interface Part {
  /** The port on which it serves; undefined for programs that generate their own load. */
  readonly port?: number;
  /** Works for this many milliseconds; resolves with the number of calls. */
  readonly work?: (ms: number) => number | Promise<number>;
  /** One call of the work, for its latency. */
  readonly call?: () => Promise<void>;
  /** One result of the work as JSON text. */
  readonly sample?: () => string | Promise<string>;
  /** Publishes so many messages within one turn of the event loop. */
  readonly publish?: (count: number) => void;
  /** The resources used so far. Default: those of this process. */
  readonly usage?: () => Usage;
}

/** Reports to the bench that this program is ready, and answers its requests until the bench disconnects. */
export function takePart(part: Part): void {
  const { port = 0, work = () => 0, call, sample = () => "null", publish, usage = ownUsage } = part;
  const answer = async ({ id, ask, ms = 0, count = 1 }: Question & { id: number }): Promise<void> => {
    if (ask === "publish") {
      publish?.(count);
      process.send?.({ id, ...nothing } satisfies Answer); // To read what was used would cost as much as many deliveries.
      return;
    }
    const calls = ask === "work" ? await work(ms) : 0;
    const latencies = ask === "latencies" && call !== undefined ? await oneByOne(ms, call) : none;
    const text = ask === "sample" ? await sample() : "null";
    const heapBytes = ask === "live" ? await liveBytes() : 0;
    process.send?.({ id, calls, latencies, sample: text, heapBytes, ...usage() } satisfies Answer);
  };
  process.on("message", (question) => void answer(question as Question & { id: number })); // The bench sends no other.
  process.on("disconnect", () => process.exit());
  process.send?.({ port });
}

const none: Latencies = { p50: 0, p99: 0 };
const nothing = { calls: 0, latencies: none, sample: "null", heapBytes: 0, cpuUs: 0, rssBytes: 0 };

async function oneByOne(ms: number, call: () => Promise<void>): Promise<Latencies> {
  const times: number[] = [];
  const end = performance.now() + ms;
  for (let begun = performance.now(); begun < end;) {
    await call();
    const ended = performance.now();
    times.push(ended - begun);
    begun = ended;
  }
  return latenciesOf(times);
}

/** What this process has used so far. */
export function ownUsage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssBytes: process.memoryUsage.rss() };
}

/** Calls `work` until the time is over, with few reads of the clock; returns the number of calls. */
export function repeat(ms: number, batch: number, work: () => void): number {
  const end = performance.now() + ms;
  let calls = 0;
  do {
    for (let i = 0; i < batch; i++) work();
    calls += batch;
  } while (performance.now() < end);
  return calls;
}

/** Keeps `width` calls in flight until the time is over; resolves with the number of calls. */
export async function repeatAsync(ms: number, width: number, work: () => Promise<void>): Promise<number> {
  const end = performance.now() + ms;
  let calls = 0;
  const lane = async (): Promise<void> => {
    do {
      await work();
      calls++;
    } while (performance.now() < end);
  };
  await Promise.all(Array.from({ length: width }, lane));
  return calls;
}

/** Objects held by weak references and finished streams need more than one collection. */
async function liveBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}
