import { setTimeout as pause } from "node:timers/promises";
import { Contestant } from "./contestant.ts";
import { separateCores } from "./cores.ts";
import { SoakReader } from "./load/soak-reader.ts";
import { streamForms } from "./load/stream-load.ts";
import { judgeMemory, sampleMemory } from "./soak-memory.ts";

/** What a soak is asked for. */
export interface SoakOptions {
  /** Readers of each encoding; some have half as many. */
  readonly readers: number;
  readonly seconds: number;
  /** Messages a second for each reader. */
  readonly rate: number;
}

/** Size that exceeds the buffers of the system, for stalled readers. */
const stalledLength = 60_000;
const path = "/bench/v1/parcels:follow";
/** How late the last messages may arrive on a busy machine, in milliseconds. */
const graceMs = 60_000;

type Readers = Readonly<Record<"ndjson" | "sse" | "webSocket", SoakReader[]>>;

/** Readers of streams of a gateway, a tenth of which does not read. Prints what happens; returns what is wrong. */
export async function soakStreams({ readers: perForm, seconds, rate }: SoakOptions): Promise<string[]> {
  const count = Math.ceil(rate * seconds);
  const program = { file: "soak-gateway.ts", args: [String(rate)] };
  const gateway = await Contestant.start(program, { cores: separateCores(), profiles: undefined });
  const readers: Readers = { ndjson: [], sse: [], webSocket: [] };
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
  const over = Promise.all(healthy.map(({ done }) => done)).then(() => true);
  const sampling = new AbortController();
  const samples = sampleMemory(gateway, seconds, sampling.signal);
  const intime = await Promise.race([over, pause(seconds * 1000 + graceMs, false, { ref: false })]);
  sampling.abort();
  const memory = await samples;
  const left = stalled.filter(({ problem }) => problem !== undefined).length;
  for (const reader of [...healthy, ...stalled]) reader.close();
  await gateway.stop();

  const problems = intime ? [] : ["not every reader had its messages in time"];
  for (const [form, all] of Object.entries(readers)) problems.push(...judgeReaders(form, all, count));
  console.log(`stalled: ${stalled.length} readers, ${left} closed`);
  if (left > 0) problems.push(`${left} stalled readers were closed`);
  return [...problems, ...judgeMemory(memory)];
}

/** Prints what readers of a form have got; returns what is wrong with them. */
function judgeReaders(form: string, all: readonly SoakReader[], count: number): string[] {
  const wrong = all.filter(({ received, problem }) => problem !== undefined || received !== count);
  const messages = all.reduce((sum, { received }) => sum + received, 0);
  console.log(`${form}: ${all.length} readers, ${messages} messages, ${wrong.length} readers with a problem`);
  return wrong
    .slice(0, 3)
    .map(({ received, problem = "late" }) => `${form}: ${problem} after ${received} of ${count}`);
}
