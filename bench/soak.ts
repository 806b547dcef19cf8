/** `npm run soak`: thousands of readers of endless streams, some of which do not read; checks memory and messages. */
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Contestant } from "./contestant.ts";
import { separateCores } from "./cores.ts";
import { SoakReader } from "./load/soak-reader.ts";
import { streamForms } from "./load/stream-load.ts";

const help = `npm run soak -- [OPTIONS]
  --readers 1000   readers of each encoding: NDJSON, SSE and WebSocket; a tenth of them stops reading
  --seconds 60     how long they read; 600 for a real soak
  --rate 5         messages a second for each reader
Ends with 1 when a healthy reader misses a message, or the gateway's memory grows on and on.
`;

const { values } = parseArgs({
  options: {
    readers: { type: "string", default: "1000" },
    seconds: { type: "string", default: "60" },
    rate: { type: "string", default: "5" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit();
}

const perForm = Number(values.readers);
const seconds = Number(values.seconds);
const rate = Number(values.rate);
if (!(perForm >= 1 && seconds >= 5 && rate > 0)) throw new Error(`wrong numbers\n${help}`);

/**
 * Warm-up before memory is measured, in milliseconds, in which compilers, pools and the windows of stalled readers
 * fill.
 */
const warmupMs = Math.min(60, Math.max(5, seconds * 0.4)) * 1000;
const count = Math.ceil(rate * seconds);
/** Size that exceeds the buffers of the system, for stalled readers. */
const stalledLength = 60_000;
const path = "/bench/v1/parcels:follow";
/** How late the last messages may arrive on a busy machine, in milliseconds. */
const graceMs = 60_000;

const cores = separateCores();
const gateway = await Contestant.start(
  { file: "soak-gateway.ts", args: [String(rate)] },
  { cores, profiles: undefined },
);
const readers = { ndjson: [] as SoakReader[], sse: [] as SoakReader[], webSocket: [] as SoakReader[] };
const stalled: SoakReader[] = [];
for (let index = 0; index < perForm; index++) {
  for (const form of ["ndjson", "sse", "webSocket"] as const) {
    const stalls = index % 10 === 9;
    const target = `${path}?count=${stalls ? 0x7fffffff : count}&length=${stalls ? stalledLength : 100}`;
    const reader = new SoakReader(gateway.port, target, streamForms[form], count, stalls);
    (stalls ? stalled : readers[form]).push(reader);
  }
  if (index % 20 === 19) await pause(5); // The backlog of a listener is short.
}

const healthy = Object.values(readers).flat();
const startedAt = performance.now();
const over = Promise.all(healthy.map(({ done }) => done)).then(() => true);
const sampling = new AbortController();
const samples = sample();
const intime = await Promise.race([over, pause(seconds * 1000 + graceMs, false, { ref: false })]);
sampling.abort();
const memory = await samples;
const left = stalled.filter(({ problem }) => problem !== undefined).length;
for (const reader of [...healthy, ...stalled]) reader.close();
await gateway.stop();

const problems: string[] = [];
if (!intime) problems.push("not every reader had its messages in time");
for (const [form, all] of Object.entries(readers)) {
  const wrong = all.filter(({ received, problem }) => problem !== undefined || received !== count);
  const messages = all.reduce((sum, { received }) => sum + received, 0);
  console.log(`${form}: ${all.length} readers, ${messages} messages, ${wrong.length} readers with a problem`);
  for (const { received, problem = "late" } of wrong.slice(0, 3)) {
    problems.push(`${form}: ${problem} after ${received} of ${count}`);
  }
}
console.log(`stalled: ${stalled.length} readers, ${left} closed`);
if (left > 0) problems.push(`${left} stalled readers were closed`);

for (const [name, what] of [
  ["rssBytes", "resident memory"],
  ["liveBytes", "live objects"],
] as const) {
  const points = memory.map((one) => ({ ms: one.ms, bytes: one[name] }));
  const mean = average(points.map(({ bytes }) => bytes));
  const growth = slope(points) * ((points.at(-1)?.ms ?? 0) - (points[0]?.ms ?? 0));
  console.log(
    `${what} of the gateway: ${megabytes(mean)} on average, growth after the warm-up ${megabytes(growth)}`,
  );
  if (growth > Math.max(0.15 * mean, 16e6)) problems.push(`${what} of the gateway: more and more`);
}
console.log(`looked ${memory.length} times, after garbage collection`);
if (memory.length < 5) problems.push("memory was not looked at often enough to judge");

for (const problem of problems) console.log(`PROBLEM: ${problem}`);
if (problems.length > 0) process.exitCode = 1;

interface MemorySample {
  readonly ms: number;
  readonly rssBytes: number;
  readonly liveBytes: number;
}

/** Samples memory after the warm-up, after a garbage collection: the cycles of garbage are longer than a short run. */
async function sample(): Promise<MemorySample[]> {
  const all: MemorySample[] = [];
  const everyMs = Math.max(500, (seconds * 1000 - warmupMs) / 20);
  await pause(warmupMs);
  while (!sampling.signal.aborted) {
    const liveBytes = await gateway.liveBytes();
    const { rssBytes } = await gateway.usage();
    all.push({ ms: performance.now() - startedAt, rssBytes, liveBytes });
    await pause(everyMs);
  }
  return all;
}

/** Bytes a millisecond, by least squares. */
function slope(points: readonly { ms: number; bytes: number }[]): number {
  const middle = average(points.map(({ ms }) => ms));
  const mean = average(points.map(({ bytes }) => bytes));
  const spread = points.reduce((sum, { ms }) => sum + (ms - middle) ** 2, 0);
  return points.reduce((sum, { ms, bytes }) => sum + (ms - middle) * (bytes - mean), 0) / spread;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
