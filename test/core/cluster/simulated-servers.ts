import { EndpointLoad, type LoadedAttempt } from "../../../src/core/cluster/endpoint-load.ts";
import type { EndpointCandidate } from "../../../src/core/cluster/balance.ts";
import { OutageRecord, type OutlierOptions } from "../../../src/core/cluster/outlier.ts";
import type { Picker } from "../../../src/core/cluster/picker.ts";
import { Ramp, slowStartDefaults } from "../../../src/core/cluster/ramp.ts";

/** How a simulated server answers. */
export interface ServerPlan {
  readonly weight?: number;
  readonly priority?: number;
  readonly zone?: string;
  /** Mean time of a call that is being served; times are exponentially distributed. */
  readonly serviceMs: number;
  /** Calls that are served at the same time; others wait. Default: without limit. */
  readonly places?: number;
  /** Whether all calls fail, at once. */
  readonly fails?: boolean;
}

/** A server of the simulation. */
export class SimulatedServer implements EndpointCandidate {
  readonly name: string;
  weight: number;
  readonly fullWeight: number;
  readonly isJudged = true;
  readonly load: EndpointLoad;
  readonly plan: ServerPlan;
  calls = 0;
  busy = 0;
  readonly waiting: SimulatedCall[] = [];
  outages: OutageRecord<SimulatedServer> | undefined;
  ramp: Ramp | undefined;

  get hashKey(): string {
    return this.name;
  }

  get priority(): number {
    return this.plan.priority ?? 0;
  }

  get zone(): string | undefined {
    return this.plan.zone;
  }

  constructor(name: string, plan: ServerPlan, nowMs: number) {
    this.name = name;
    this.plan = plan;
    this.weight = this.fullWeight = plan.weight ?? 1;
    this.load = new EndpointLoad(nowMs);
  }
}

/** A call of the simulation. */
class SimulatedCall implements LoadedAttempt {
  readonly unary = true;
  fails = false;
  beganMs = 0;
  older: LoadedAttempt | undefined;
  newer: LoadedAttempt | undefined;
}

/** Events in the order of their times: a binary heap. */
class Agenda {
  readonly #events: { readonly atMs: number; readonly fn: () => void }[] = [];

  add(atMs: number, fn: () => void): void {
    const events = this.#events;
    let index = events.push({ atMs, fn }) - 1;
    for (
      let above = (index - 1) >> 1;
      index > 0 && at(events, above) > at(events, index);
      above = (index - 1) >> 1
    ) {
      swap(events, above, index);
      index = above;
    }
  }

  next(): { readonly atMs: number; readonly fn: () => void } | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    events[0] = last;
    for (let index = 0; ;) {
      let least = index;
      for (const below of [2 * index + 1, 2 * index + 2]) {
        if (at(events, below) < at(events, least)) least = below;
      }
      if (least === index) return first;
      swap(events, least, index);
      index = least;
    }
  }
}

function at(events: readonly { readonly atMs: number }[], index: number): number {
  return events[index]?.atMs ?? Infinity;
}

function swap<T>(list: T[], one: number, other: number): void {
  const first = list[one];
  const second = list[other];
  if (first === undefined || second === undefined) return;
  list[one] = second;
  list[other] = first;
}

/** What a simulation has seen. */
export interface SimulationResult {
  /** Share of the calls of each server, 0 to 1. */
  readonly shares: ReadonlyMap<string, number>;
  /** Durations of calls that were answered, ascending. */
  readonly durationsMs: readonly number[];
  /** When each call was sent, and to which server. */
  readonly log: readonly { readonly atMs: number; readonly server: string }[];
}

/** Servers, calls and a picker in virtual time. */
export class Simulation {
  readonly #agenda = new Agenda();
  readonly #picker: Picker<SimulatedServer>;
  readonly #random: () => number;
  readonly #servers: SimulatedServer[] = [];
  readonly #durationsMs: number[] = [];
  readonly #log: { readonly atMs: number; readonly server: string }[] = [];
  readonly #nextKey: (() => number) | undefined;
  #nowMs = 0;

  /** @param nextKey the key of each call. Default: none */
  constructor(picker: Picker<SimulatedServer>, random: () => number, nextKey?: () => number) {
    this.#picker = picker;
    this.#random = random;
    this.#nextKey = nextKey;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  get servers(): readonly SimulatedServer[] {
    return this.#servers;
  }

  /** The mean number of calls in flight, with one more. */
  get meanInFlight(): number {
    const calls = this.#servers.reduce((sum, { load }) => sum + load.inFlight, 1);
    return calls / this.#servers.length;
  }

  /** Servers that fail are ejected from now on, as a cluster does it. */
  eject(options: OutlierOptions): void {
    const clock = {
      nowMs: () => this.#nowMs,
      after: (delayMs: number, fn: () => void) => {
        let isCancelled = false;
        this.at(this.#nowMs + delayMs, () => {
          if (!isCancelled) fn();
        });
        return () => (isCancelled = true);
      },
    };
    const host = {
      mayEject: (_: SimulatedServer, most: number) =>
        this.#ejected + 1 < this.#servers.length && (this.#ejected + 1) * 100 <= most * this.#servers.length,
      ejected: () => {
        this.mostEjected = Math.max(this.mostEjected, this.#ejected);
        this.update();
      },
      returned: (server: SimulatedServer) => {
        server.ramp = new Ramp({ ...slowStartDefaults, windowMs: options.returnMs }, this.#nowMs);
        this.#climb(server, server.ramp.stepMs);
      },
    };
    for (const server of this.#servers) server.outages = new OutageRecord(server, options, clock, host);
  }

  /** The most servers that were ejected at the same time. */
  mostEjected = 0;

  get #ejected(): number {
    return this.#servers.filter(({ outages }) => outages?.isEjected === true).length;
  }

  #climb(server: SimulatedServer, stepMs: number): void {
    server.weight = server.fullWeight * (server.ramp?.factor(this.#nowMs) ?? 1);
    this.update();
    if (server.weight < server.fullWeight) this.at(this.#nowMs + stepMs, () => this.#climb(server, stepMs));
  }

  /** Servers can be called or not, or have other weights, from now on. */
  update(): void {
    const candidates = this.#servers.filter(({ outages }) => outages?.isEjected !== true);
    this.#picker.update(candidates, this.#nowMs, [...this.#servers]);
  }

  add(name: string, plan: ServerPlan): void {
    this.#servers.push(new SimulatedServer(name, plan, this.#nowMs));
    this.update();
  }

  /** Something that happens at its time. */
  at(atMs: number, fn: () => void): void {
    this.#agenda.add(atMs, fn);
  }

  /** So many callers, each with one call at a time. */
  closedLoop(callers: number, calls: number): void {
    let left = calls;
    const next = (): void => {
      if (left-- > 0) this.#call(next);
    };
    for (let caller = 0; caller < callers; caller++) next();
    this.#run();
  }

  /** Calls at a mean rate, whatever becomes of them. */
  openLoop(perSecond: number, untilMs: number): void {
    const next = (): void => {
      this.#call(() => {});
      const atMs = this.#nowMs + this.#exponential(1_000 / perSecond);
      if (atMs < untilMs) this.#agenda.add(atMs, next);
    };
    next();
    this.#run();
  }

  get result(): SimulationResult {
    const total = this.#log.length;
    return {
      shares: new Map(this.#servers.map(({ name, calls }) => [name, calls / total])),
      durationsMs: this.#durationsMs.toSorted((one, other) => one - other),
      log: this.#log,
    };
  }

  /** Share of a server in the calls of some time, 0 to 1. */
  share(name: string, fromMs: number, untilMs: number): number {
    const calls = this.#log.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs);
    return calls.filter(({ server }) => server === name).length / calls.length;
  }

  #run(): void {
    for (let event = this.#agenda.next(); event !== undefined; event = this.#agenda.next()) {
      this.#nowMs = event.atMs;
      event.fn();
    }
  }

  #call(done: () => void): void {
    const server = this.#picker.pick(this.#nowMs, this.#nextKey?.());
    if (server === undefined) throw new Error("no server");
    const call = new SimulatedCall();
    server.calls++;
    this.#log.push({ atMs: this.#nowMs, server: server.name });
    server.load.begin(call, this.#nowMs);
    if (server.plan.fails === true) {
      call.fails = true;
      this.#agenda.add(this.#nowMs + 0.1, () => this.#end(server, call, done));
    } else {
      this.#serve(server, call, done);
    }
  }

  #serve(server: SimulatedServer, call: SimulatedCall, done: () => void): void {
    if (server.busy >= (server.plan.places ?? Infinity)) {
      server.waiting.push(call);
      this.#done.set(call, done);
      return;
    }
    server.busy++;
    this.#agenda.add(this.#nowMs + this.#exponential(server.plan.serviceMs), () => {
      server.busy--;
      this.#durationsMs.push(this.#nowMs - call.beganMs);
      this.#end(server, call, done);
      const next = server.waiting.shift();
      if (next !== undefined) this.#serve(server, next, this.#done.get(next) ?? done);
    });
  }

  readonly #done = new WeakMap<SimulatedCall, () => void>();

  #end(server: SimulatedServer, call: SimulatedCall, done: () => void): void {
    server.load.end(call, call.fails ? "failure" : "success", !call.fails, this.#nowMs);
    server.outages?.count(call.fails ? "outage" : "success", this.#nowMs);
    done();
  }

  #exponential(mean: number): number {
    return -Math.log(1 - this.#random()) * mean;
  }
}
