/** `npm run soak`: thousands of readers of endless streams, some of which do not read; looks at memory and messages. */
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

/** Memory is not looked at before, in milliseconds: compilers, pools and the windows of stalled readers fill then. */
const warmupMs = Math.min(60, Math.max(5, seconds * 0.4)) * 1000;
const count = Math.ceil(rate * seconds);
/** Stalled readers get enough that no buffer of the system takes it. */
const stalledLength = 60_000;
const path = "/bench/v1/parcels:follow";
/** How long the last messages may take behind their time on a busy machine, in milliseconds. */
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
  if (index % 20 === 19) await pause(5); // The queue of a listener is short.
}

const healthy = Object.values(readers).flat();
const startedAt = performance.now();
const over = Promise.all(healthy.map(({ done }) => done)).then(() => true);
const sampling = new AbortController();
const samples = sample();
await pause(warmupMs);
const liveBefore = await gateway.liveBytes();
const intime = await Promise.race([over, pause(seconds * 1000 - warmupMs + graceMs, false, { ref: false })]);
sampling.abort();
const rss = await samples;
const liveAfter = await gateway.liveBytes();
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

const mean = rss.reduce((sum, { bytes }) => sum + bytes, 0) / rss.length;
const growth = slope(rss) * ((rss.at(-1)?.ms ?? 0) - (rss[0]?.ms ?? 0));
console.log(
  `RSS of the gateway: ${megabytes(mean)} on average, ${megabytes(growth)} growth after the warm-up`,
);
console.log(`live objects: ${megabytes(liveBefore)} after the warm-up, ${megabytes(liveAfter)} at the end`);
if (growth > Math.max(0.15 * mean, 32e6)) problems.push("the resident memory grows on");
if (liveAfter > liveBefore * 1.1 + 8e6) problems.push("live objects pile up");

for (const problem of problems) console.log(`PROBLEM: ${problem}`);
if (problems.length > 0) process.exitCode = 1;

/** Resident memory after the warm-up, every half second. */
async function sample(): Promise<{ ms: number; bytes: number }[]> {
  const all: { ms: number; bytes: number }[] = [];
  while (!sampling.signal.aborted) {
    await pause(500);
    const ms = performance.now() - startedAt;
    if (ms > warmupMs) all.push({ ms, bytes: (await gateway.usage()).rssBytes });
  }
  return all;
}

/** Bytes a millisecond, by least squares. */
function slope(points: readonly { ms: number; bytes: number }[]): number {
  const middle = points.reduce((sum, { ms }) => sum + ms, 0) / points.length;
  const average = points.reduce((sum, { bytes }) => sum + bytes, 0) / points.length;
  const spread = points.reduce((sum, { ms }) => sum + (ms - middle) ** 2, 0);
  return points.reduce((sum, { ms, bytes }) => sum + (ms - middle) * (bytes - average), 0) / spread;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
