import { Backoff } from "../../src/hub-client/backoff.ts";
import { connectionAgeMs } from "../../src/core/http2/connection-age.ts";
import { leaveRate } from "../../src/core/http2/session-turns.ts";
import { ConnectionRate } from "../../src/core/net/connection-rate.ts";
import { inTurn, leaveSpreadMs } from "../../src/core/time/in-turn.ts";
import { Agenda } from "./agenda.ts";
import type { Timeline } from "./timeline.ts";

/** Clients and the gateways they connect to. */
export interface ClientsOptions {
  readonly clients: number;
  readonly gateways: number;
  /** `maxConnectionAgeMs` of the gateways. */
  readonly ageMs: number;
  /** Connections that a gateway accepts in a second: `maxPerSecond` of its `ConnectionLimit`. */
  readonly acceptsPerSecond: number;
}

/** The backoff of `ts-ms/hub-client`. */
const backoff = { initialMs: 1_000, maxMs: 30_000 };
/** How long a client tries to connect, in milliseconds. */
const connectTimeoutMs = 5_000;
/** How long a balancer sends clients to a gateway that does not answer any more, in milliseconds. */
const noticeMs = 10_000;
/** How long it takes until all clients have seen that there are gateways, in milliseconds. */
const arriveMs = 25_000;
/** Length of the steps in which clients act, in milliseconds. */
const stepMs = 100;

/** A gateway as its clients see it. */
interface Gateway {
  isUp: boolean;
  /** Since when its process runs, in virtual milliseconds. */
  sinceMs: number;
  connections: number;
  readonly rate: ConnectionRate;
}

/**
 * Millions of clients, each with one connection to a gateway by way of a balancer of connections. A client that is asked to
 * leave connects anew at once; one that has lost its connection, or was refused, waits by the library's backoff. Ages,
 * refusals and the turns of a stop are those of the library too.
 */
export class Clients {
  /** New connections in each second since the beginning. */
  readonly perSecond: number[] = [];
  /** Those among them of clients that had lost a connection, or were refused before. */
  readonly backPerSecond: number[] = [];
  /** Attempts that a gateway has refused or that no gateway has answered. */
  failedAttempts = 0;
  readonly gateways: readonly Gateway[];
  readonly #options: ClientsOptions;
  readonly #timeline: Timeline;
  readonly #random: () => number;
  /** What each client does next: the end of its connection by age, or its next attempt. Its note is its gateway. */
  readonly #agenda: Agenda;
  readonly #backoffs = new Map<number, Backoff>();
  /** The gateways that the balancer sends connections to. */
  #balanced: readonly number[];
  #turn = 0;

  constructor(options: ClientsOptions, timeline: Timeline, random: () => number) {
    const { clients, gateways, ageMs } = options;
    this.#options = options;
    this.#timeline = timeline;
    this.#random = random;
    this.#agenda = new Agenda(clients, Math.ceil((ageMs * 1.2) / stepMs), (client) => this.#act(client));
    this.gateways = Array.from({ length: gateways }, () => ({
      isUp: true,
      sinceMs: timeline.nowMs(),
      connections: 0,
      rate: new ConnectionRate(() => timeline.nowMs()),
    }));
    this.#balanced = this.gateways.map((_, number) => number);
    timeline.after(stepMs, () => this.#step());
  }

  /** Clients without a connection. */
  get away(): number {
    return this.#options.clients - this.gateways.reduce((sum, { connections }) => sum + connections, 0);
  }

  /** New connections in a second of steady operation. */
  get steadyPerSecond(): number {
    return (this.#options.clients / this.#options.ageMs) * 1_000;
  }

  /** All are connected for a long time: the ages of their connections are of every length, and the gateways are old. */
  settle(): void {
    const { clients, ageMs, gateways } = this.#options;
    for (const gateway of this.gateways) gateway.sinceMs = this.#timeline.nowMs() - 10 * ageMs;
    for (let client = 0; client < clients; client++) {
      const number = client % gateways;
      this.#agenda.note(client, number);
      const gateway = this.gateways[number];
      if (gateway !== undefined) gateway.connections++;
      this.#plan(client, this.#random() * connectionAgeMs(ageMs, Infinity, this.#random()));
    }
  }

  /** All of them try to connect for the first time, within some seconds. */
  arrive(): void {
    for (let client = 0; client < this.#options.clients; client++)
      this.#plan(client, this.#random() * arriveMs);
  }

  /** A gateway ends without a word; the balancer finds out later. */
  kill(numbers: readonly number[]): void {
    for (const number of numbers) {
      const gateway = this.gateways[number];
      if (gateway !== undefined) gateway.isUp = false;
    }
    for (let client = 0; client < this.#options.clients; client++) {
      const number = this.#agenda.noteOf(client);
      if (number >= 0 && this.gateways[number]?.isUp === false) {
        this.#disconnect(client);
        this.#wait(client);
      }
    }
    this.#timeline.after(noticeMs, () => this.#rebalance());
  }

  /**
   * A gateway stops in good order and starts again: the balancer takes it out, after `drainDelayMs` its clients are asked to
   * leave in turn.
   *
   * @returns how long that takes, in milliseconds
   */
  restart(number: number, { drainDelayMs, graceMs, startMs }: RestartTimes): number {
    const gateway = this.gateways[number];
    if (gateway === undefined) return 0;
    this.#balanced = this.#balanced.filter((other) => other !== number);
    const spreadMs = leaveSpreadMs(gateway.connections, leaveRate, graceMs);
    this.#timeline.after(drainDelayMs, () => {
      const clients: number[] = [];
      for (let client = 0; client < this.#options.clients; client++) {
        if (this.#agenda.noteOf(client) === number) clients.push(client);
      }
      inTurn(clients.length, spreadMs, this.#timeline, (index) => {
        const client = clients[index];
        if (client === undefined || this.#agenda.noteOf(client) !== number) return; // Its age was there before.
        this.#disconnect(client);
        this.#connect(client);
      });
    });
    const tookMs = drainDelayMs + spreadMs + startMs;
    this.#timeline.after(tookMs, () => {
      gateway.sinceMs = this.#timeline.nowMs();
      this.#rebalance();
    });
    return tookMs;
  }

  #rebalance(): void {
    this.#balanced = [...this.gateways.keys()].filter((number) => this.gateways[number]?.isUp === true);
  }

  #step(): void {
    this.#agenda.step();
    this.#timeline.after(stepMs, () => this.#step());
  }

  /** @param afterMs from now */
  #plan(client: number, afterMs: number): void {
    this.#agenda.plan(client, Math.max(1, Math.round(afterMs / stepMs)));
  }

  #act(client: number): void {
    if (this.#agenda.noteOf(client) !== -1) this.#disconnect(client);
    this.#connect(client);
  }

  #disconnect(client: number): void {
    const gateway = this.gateways[this.#agenda.noteOf(client)];
    if (gateway !== undefined) gateway.connections--;
    this.#agenda.note(client, -1);
    this.#agenda.cancel(client);
  }

  #connect(client: number): void {
    const number = this.#balanced[this.#turn++ % this.#balanced.length];
    const gateway = number === undefined ? undefined : this.gateways[number];
    if (number === undefined || gateway?.isUp !== true) {
      this.#wait(client, connectTimeoutMs);
      return;
    }
    const nowMs = this.#timeline.nowMs();
    const { acceptsPerSecond, ageMs } = this.#options;
    if (acceptsPerSecond > 0 && !gateway.rate.admits(acceptsPerSecond)) {
      this.#wait(client);
      return;
    }
    this.#agenda.note(client, number);
    gateway.connections++;
    count(this.perSecond, nowMs);
    if (this.#backoffs.delete(client)) count(this.backPerSecond, nowMs);
    this.#plan(client, connectionAgeMs(ageMs, nowMs - gateway.sinceMs, this.#random()));
  }

  /** @param tookMs of the attempt that has failed */
  #wait(client: number, tookMs = 0): void {
    this.failedAttempts++;
    let pauses = this.#backoffs.get(client);
    if (pauses === undefined) this.#backoffs.set(client, (pauses = new Backoff(backoff, this.#random)));
    this.#plan(client, tookMs + pauses.next());
  }
}

function count(perSecond: number[], nowMs: number): void {
  const second = Math.floor(nowMs / 1_000);
  while (perSecond.length <= second) perSecond.push(0);
  perSecond[second] = (perSecond[second] ?? 0) + 1;
}

/** The times of a restart, in milliseconds. */
export interface RestartTimes {
  /** Between the signal and the end of the listeners. */
  readonly drainDelayMs: number;
  readonly graceMs: number;
  /** Until the new process is ready. */
  readonly startMs: number;
}
