import { setTimeout as pause } from "node:timers/promises";
import { Contestant } from "./contestant.ts";
import { separateCores } from "./cores.ts";
import { EventReader } from "./load/hub-readers/event-reader.ts";
import { GrpcReader } from "./load/hub-readers/grpc-reader.ts";
import type { HubReader } from "./load/hub-readers/hub-reader.ts";
import { PollReader } from "./load/hub-readers/poll-reader.ts";
import { SocketReader } from "./load/hub-readers/socket-reader.ts";
import { judgeMemory, sampleMemory } from "./soak-memory.ts";
import type { SoakOptions } from "./stream-soak.ts";

/** How often one that comes back does so, in milliseconds, on average. */
const comeBackMs = 10_000;
/** How often it is looked which ones come back. */
const lookMs = 100;
/** How long clients may take to join, and the last messages to arrive on a busy machine, in milliseconds. */
const graceMs = 60_000;
/** The names of the rooms: the room of those that do not read has messages that exceed the buffers of the system. */
const roomCount = 20;
const stalledRoom = "large";

const forms = ["sse", "webSocket", "longPoll", "grpc"] as const;
type Form = (typeof forms)[number];

/** Everybody who reads rooms. */
interface Crowd {
  readonly healthy: Readonly<Record<Form, HubReader[]>>;
  readonly stalled: HubReader[];
  /** Those of the healthy ones that come back again and again. */
  readonly returning: HubReader[];
}

/**
 * Readers of rooms of a hub by four doors: a tenth does not read, a tenth comes back again and again. Prints what happens;
 * returns what is wrong.
 */
export async function soakHub({ readers, seconds, rate }: SoakOptions): Promise<string[]> {
  const count = Math.ceil(rate * seconds);
  const cores = separateCores();
  const gateway = await Contestant.start(
    { file: "soak-hub.ts", args: [String(roomCount)] },
    { cores, profiles: undefined },
  );
  const crowd = await openCrowd(gateway, readers, count);
  const everybody = [...forms.flatMap((form) => crowd.healthy[form]), ...crowd.stalled];
  if (!(await within(async () => (await stateOf(gateway)).members >= everybody.length))) {
    throw new Error(`only ${(await stateOf(gateway)).members} of ${everybody.length} have joined`);
  }
  const sampling = new AbortController();
  const samples = sampleMemory(gateway, seconds, sampling.signal);
  const looking = setInterval(() => comeBack(crowd.returning), lookMs);
  await publishAll(gateway, count, 1000 / rate);
  clearInterval(looking);
  const healthy = forms.flatMap((form) => crowd.healthy[form]);
  const intime = await within(async () => healthy.every(({ received }) => received >= count));
  sampling.abort();
  const memory = await samples;
  const left = crowd.stalled.filter(({ problem }) => problem !== undefined).length;
  for (const reader of everybody) reader.close();
  await gateway.stop();

  const problems = intime ? [] : ["not every reader had its messages in time"];
  for (const form of forms) problems.push(...judgeReaders(form, crowd.healthy[form], count));
  console.log(`stalled: ${crowd.stalled.length} readers, ${left} closed`);
  if (left > 0) problems.push(`${left} stalled readers were closed`);
  return [...problems, ...judgeMemory(memory)];
}

async function openCrowd(gateway: Contestant, readers: number, count: number): Promise<Crowd> {
  const { grpcPort } = await stateOf(gateway);
  const crowd: Crowd = {
    healthy: { sse: [], webSocket: [], longPoll: [], grpc: [] },
    stalled: [],
    returning: [],
  };
  const make: Readonly<Record<Form, (room: string, stalls: boolean) => HubReader>> = {
    sse: (room, stalls) => new EventReader(gateway.port, room, count, stalls),
    webSocket: (room, stalls) => new SocketReader(gateway.port, room, count, stalls),
    longPoll: (room) => new PollReader(gateway.port, room, count),
    grpc: (room, stalls) => new GrpcReader(grpcPort, room, count, stalls),
  };
  for (let index = 0; index < readers; index++) {
    for (const form of forms) {
      if ((form === "longPoll" || form === "grpc") && index % 2 === 1) continue;
      // One that polls and does not read does not poll.
      const stalls = index % 10 === 8 && form !== "longPoll";
      const reader = make[form](stalls ? stalledRoom : `room-${index % roomCount}`, stalls);
      (stalls ? crowd.stalled : crowd.healthy[form]).push(reader);
      if (index % 10 === 4) crowd.returning.push(reader);
      reader.open();
    }
    if (index % 20 === 19) await pause(20); // The backlog of a listener is short.
  }
  return crowd;
}

/** What the gateway says of itself, see `contestants/soak-hub.ts`. */
async function stateOf(
  gateway: Contestant,
): Promise<{ readonly members: number; readonly grpcPort: number }> {
  return (await gateway.sample()) as { members: number; grpcPort: number }; // It sends nothing else.
}

/** Some of them lose their connection and come back, at random. */
function comeBack(returning: readonly HubReader[]): void {
  for (const reader of returning) if (Math.random() < lookMs / comeBackMs) reader.comeBack();
}

/** Publishes in all rooms, at a pace; late ones follow at once. */
async function publishAll(gateway: Contestant, count: number, everyMs: number): Promise<void> {
  const begunMs = performance.now();
  for (let number = 1; number <= count; number++) {
    await pause(Math.max(0, begunMs + number * everyMs - performance.now()));
    await gateway.publish(1);
  }
}

async function within(holds: () => Promise<boolean>): Promise<boolean> {
  for (const endMs = performance.now() + graceMs; performance.now() < endMs; await pause(lookMs)) {
    if (await holds()) return true;
  }
  return false;
}

/** Prints what readers of a form have got; returns what is wrong with them. */
function judgeReaders(form: Form, all: readonly HubReader[], count: number): string[] {
  const wrong = all.filter(({ received, problem }) => problem !== undefined || received !== count);
  const sum = (of: (reader: HubReader) => number): number => all.reduce((total, one) => total + of(one), 0);
  const messages = sum(({ received }) => received);
  const returns = sum((one) => one.returns);
  console.log(
    `${form}: ${all.length} readers, ${messages} messages, ${returns} returns, ${wrong.length} readers with a problem`,
  );
  return wrong
    .slice(0, 3)
    .map(({ received, problem = "late" }) => `${form}: ${problem} after ${received} of ${count}`);
}
