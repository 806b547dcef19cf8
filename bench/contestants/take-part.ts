/** What a contestant has used so far. */
export interface Usage {
  /** CPU time of all threads, user and system, in microseconds. */
  readonly cpuUs: number;
  readonly rssBytes: number;
}

/** What the bench may ask. */
export interface Question {
  readonly ask: "usage" | "live" | "work" | "sample";
  /** How long to work, in milliseconds. */
  readonly ms?: number;
}

/** Fields that were not asked for are empty. */
export interface Answer extends Usage {
  readonly id: number;
  readonly heapBytes: number;
  readonly calls: number;
  readonly sample: string;
}

/** What a program takes part with. */
export interface Part {
  /** The port it serves; programs that drive themselves have none. */
  readonly port?: number;
  /** Works for so many milliseconds; gives the number of calls. */
  readonly work?: (ms: number) => number | Promise<number>;
  /** One result of the work as JSON text. */
  readonly sample?: () => string | Promise<string>;
  /** What was used so far. Default: what this process has used. */
  readonly usage?: () => Usage;
}

/** Tells the bench that this program is ready, and answers it until it hangs up. */
export function takePart({ port = 0, work = () => 0, sample = () => "null", usage = ownUsage }: Part): void {
  const answer = async ({ id, ask, ms = 0 }: Question & { id: number }): Promise<void> => {
    const calls = ask === "work" ? await work(ms) : 0;
    const text = ask === "sample" ? await sample() : "null";
    const heapBytes = ask === "live" ? await liveBytes() : 0;
    process.send?.({ id, calls, sample: text, heapBytes, ...usage() } satisfies Answer);
  };
  process.on("message", (question) => void answer(question as Question & { id: number })); // The bench sends no other.
  process.on("disconnect", () => process.exit());
  process.send?.({ port });
}

function ownUsage(): Usage {
  const { user, system } = process.cpuUsage();
  return { cpuUs: user + system, rssBytes: process.memoryUsage.rss() };
}

/** Calls `work` until the time is over, looking at the clock now and then; gives the number of calls. */
export function repeat(ms: number, batch: number, work: () => void): number {
  const end = performance.now() + ms;
  let calls = 0;
  do {
    for (let i = 0; i < batch; i++) work();
    calls += batch;
  } while (performance.now() < end);
  return calls;
}

/** Keeps `width` calls under way until the time is over; gives the number of calls. */
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

/** What weak references and finished streams hold goes away between two collections. */
async function liveBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}
