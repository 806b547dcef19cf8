import { Backends } from "./backends.ts";
import { callFor } from "./calls.ts";
import { Clients, type RestartTimes } from "./clients.ts";
import type { Finding } from "./finding.ts";
import { Gateways } from "./gateways.ts";
import { seeded, Timeline } from "./timeline.ts";

/** The size of a fleet. */
export interface Fleet {
  readonly gateways: number;
  readonly backends: number;
  readonly clients: number;
  /** Endpoints that each gateway uses. */
  readonly subset: number;
  /** `maxConnectionAgeMs` of gateways and backends. */
  readonly ageMs: number;
  /** Connections that each gateway accepts in a second. */
  readonly acceptsPerSecond: number;
  readonly seed: number;
}

/** How many zones there are. */
const zones = 3;
/** The times of the restart of a gateway: those of the deployment's manifests. */
const restartTimes: RestartTimes = { drainDelayMs: 5_000, graceMs: 15_000, startMs: 3_000 };
/** Calls that each backend gets in the mean, and over how long. */
const [callsOfEach, callSeconds] = [400, 10];
/** New connections are counted over so many seconds. */
const windowSeconds = 10;
/** How long discovery takes to find out that backends are gone, in milliseconds. */
const discoverMs = 10_000;

/** Connections of the backends. @param areNumbered whether gateways know their numbers */
export async function spread(fleet: Fleet, areNumbered: boolean): Promise<readonly Finding[]> {
  const { backends, gateways } = world(fleet, areNumbered);
  await gateways.start();
  const connections = backends.all.map(({ sessions }) => sessions.size);
  gateways.close();
  return [
    {
      what: `connections of the fullest backend, ${areNumbered ? "numbered gateways" : "gateways without numbers"}`,
      value: Math.max(...connections) / (sum(connections) / connections.length),
      unit: "x the mean",
      ...(areNumbered && fleet.subset >= 20 && { most: 1.3 }),
    },
  ];
}

/** Calls of the backends by their connections. */
export async function calls(fleet: Fleet): Promise<readonly Finding[]> {
  const { backends, gateways, timeline, random } = world(fleet, true);
  await gateways.start();
  const perSecond = (fleet.backends * callsOfEach) / fleet.gateways / callSeconds;
  const outcomes = await callFor(gateways.clusters, perSecond, callSeconds * 1_000, timeline, random);
  const { answered, failed } = outcomes;
  const perConnection = answered / (fleet.gateways * fleet.subset);
  const shares = backends.all.map((backend) => backend.calls / backend.sessions.size / perConnection);
  gateways.close();
  return [
    {
      what: "calls of a connection of the busiest backend",
      value: Math.max(...shares),
      unit: "x the mean",
      most: 1.3,
    },
    { what: `failed calls of ${answered + failed}`, value: failed, unit: "", most: 0 },
  ];
}

/** Restarts every gateway, one after the other, and waits for more than the age of connections. */
export async function rollingRestart(fleet: Fleet): Promise<readonly Finding[]> {
  const { timeline, random, backends, gateways } = world(fleet, true);
  const clients = new Clients(fleet, timeline, random);
  clients.settle();
  await gateways.start();
  const beganMs = timeline.nowMs();
  const restartFrom = (number: number): void => {
    if (number >= fleet.gateways) return;
    const tookMs = clients.restart(number, restartTimes);
    timeline.after(tookMs, () => {
      gateways.restart(number);
      restartFrom(number + 1);
    });
    endMs = timeline.nowMs() + tookMs;
  };
  let endMs = beganMs;
  restartFrom(0);
  while (endMs > timeline.nowMs()) await timeline.until(endMs);
  const rollMs = timeline.nowMs() - beganMs;
  await timeline.until(timeline.nowMs() + 1.2 * fleet.ageMs);
  const steady = clients.steadyPerSecond;
  const rates = windows(clients.perSecond, beganMs);
  const lost = backends.all.filter(({ sessions }) => sessions.size === 0).length;
  gateways.close();
  return [
    { what: "rolling restart of all gateways", value: rollMs / 60_000, unit: "min" },
    {
      what: `new client connections, most in ${windowSeconds} s, with the time after it`,
      value: Math.max(...rates) / steady,
      unit: "x the steady rate",
      most: 2,
    },
    { what: "clients without a connection at its end", value: clients.away, unit: "", most: 0 },
    { what: "backends without a connection at its end", value: lost, unit: "", most: 0 },
  ];
}

/** All gateways start at once, and all clients come. */
export async function coldStart(fleet: Fleet): Promise<readonly Finding[]> {
  const timeline = new Timeline();
  const clients = new Clients(fleet, timeline, seeded(fleet.seed));
  clients.arrive();
  const quietMs = 120_000;
  await timeline.until(quietMs);
  const { away } = clients;
  await timeline.until(1.2 * fleet.ageMs);
  const echo = Math.max(...windows(clients.perSecond, quietMs)) / clients.steadyPerSecond;
  return [
    { what: "cold start: clients without a connection after 2 min", value: away, unit: "", most: 0 },
    { what: "cold start: new connections one age later", value: echo, unit: "x the steady rate", most: 2 },
  ];
}

/** A third of the gateways is lost without a word. */
export async function gatewayZoneLoss(fleet: Fleet): Promise<readonly Finding[]> {
  const timeline = new Timeline();
  const clients = new Clients(fleet, timeline, seeded(fleet.seed));
  clients.settle();
  const lossMs = 10_000;
  await timeline.until(lossMs);
  clients.kill([...clients.gateways.keys()].filter((number) => number % zones === 0));
  const lost = clients.away;
  await timeline.until(lossMs + 300_000);
  const back = clients.backPerSecond.slice(lossMs / 1_000);
  return [
    { what: "loss of a zone of gateways: clients that come back", value: lost, unit: "" },
    { what: "in the fullest second", value: (100 * Math.max(...back)) / lost, unit: "%", most: 10 },
    { what: "time until 90 % are back", value: reached(back, 0.9 * lost), unit: "s", least: 9, most: 60 },
    { what: "clients without a connection after 5 min", value: clients.away, unit: "", most: 0 },
  ];
}

/** A third of the backends is lost without a word, and comes back. */
export async function backendZoneLoss(fleet: Fleet): Promise<readonly Finding[]> {
  const { timeline, backends, gateways } = world(fleet, true);
  await gateways.start();
  const gone = backends.all.filter((_, number) => number % zones === 0);
  const lossMs = timeline.nowMs();
  for (const backend of gone) backend.kill();
  await timeline.until(lossMs + discoverMs);
  gateways.discover();
  const backMs = lossMs + 120_000;
  await timeline.until(backMs);
  const survivors = backends.all.filter((backend) => !gone.includes(backend));
  const rush = Math.max(...survivors.map(({ acceptedMs }) => mostInSecond(acceptedMs, lossMs)));
  const full = survivors.map(({ sessions }) => sessions.size);
  for (const backend of gone) backend.isUp = true;
  gateways.discover();
  await timeline.until(backMs + 120_000);
  const rushBack = Math.max(...backends.all.map(({ acceptedMs }) => mostInSecond(acceptedMs, backMs)));
  gateways.close();
  const most = 2 * ((fleet.gateways * fleet.subset) / fleet.backends);
  return [
    { what: "loss of a zone of backends: new connections of one in a second", value: rush, unit: "", most },
    {
      what: "connections of the fullest of the others",
      value: Math.max(...full) / (sum(full) / full.length),
      unit: "x the mean",
      most: 1.3,
    },
    { what: "its return: new connections of one in a second", value: rushBack, unit: "", most },
  ];
}

function world(fleet: Fleet, areNumbered: boolean) {
  const timeline = new Timeline();
  const random = seeded(fleet.seed);
  const backends = new Backends(fleet.backends, zones, timeline);
  const { gateways, subset, ageMs: maxAgeMs } = fleet;
  const options = { gateways, subset, areNumbered, maxAgeMs };
  return {
    timeline,
    random,
    backends,
    gateways: new Gateways(options, backends, timeline, random),
  };
}

/** The mean rates of windows from some time on, a second. */
function windows(perSecond: readonly number[], fromMs: number): readonly number[] {
  const rates: number[] = [];
  for (let from = Math.ceil(fromMs / 1_000); from + windowSeconds < perSecond.length; from++) {
    rates.push(sum(perSecond.slice(from, from + windowSeconds)) / windowSeconds);
  }
  return rates;
}

/** The second in which a sum reaches a total. */
function reached(perSecond: readonly number[], total: number): number {
  let so = 0;
  return perSecond.findIndex((count) => (so += count) >= total) + 1;
}

function mostInSecond(timesMs: readonly number[], fromMs: number): number {
  const later = timesMs.filter((atMs) => atMs > fromMs);
  return Math.max(
    0,
    ...later.map((atMs) => later.filter((other) => other >= atMs && other < atMs + 1_000).length),
  );
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
