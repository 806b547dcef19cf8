import { Agent, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** How long the loop of arrivals sleeps, in milliseconds. */
const tickMs = 1;

/** Calls that come at random moments, whether those before have been answered or not. */
export interface Arrivals {
  /** Calls a second, a Poisson process. */
  readonly rate: number;
  /** The loopback address of the caller. */
  readonly from: string;
}

/** How a call ended. */
export interface Answer {
  readonly from: string;
  /** When it was due, since the begin of the load. */
  readonly atMs: number;
  /** From when it was due, so that what waits in the client counts. */
  readonly latencyMs: number;
  /** 0 for a call without an answer. */
  readonly status: number;
}

/** An HTTP/1.1 client whose calls come from loopback addresses. */
export class OpenLoop implements Disposable {
  readonly #url: string;
  readonly #agents = new Map<string, Agent>();
  /** Numbers from 0 to 1. */
  readonly #random: () => number;

  constructor(url: string, random: () => number = Math.random) {
    this.#url = url;
    this.#random = random;
  }

  /** One call. */
  async call(from: string, dueMs = performance.now(), startMs = dueMs): Promise<Answer> {
    const status = await new Promise<number>((resolve) => {
      request(this.#url, { agent: this.#agent(from), localAddress: from }, (response) => {
        response.resume();
        response.once("close", () => resolve(response.statusCode ?? 0));
      })
        .once("error", () => resolve(0))
        .end();
    });
    return { from, atMs: dueMs - startMs, latencyMs: performance.now() - dueMs, status };
  }

  /** Opens connections of a caller, which later calls use: a server accepts one in each turn of its event loop. */
  async open(from: string, connections: number): Promise<void> {
    await Promise.all(Array.from({ length: connections }, () => this.call(from)));
  }

  /** Calls for a time, and waits for the answers. */
  async run(arrivals: readonly Arrivals[], timeMs: number): Promise<readonly Answer[]> {
    const answers: Promise<Answer>[] = [];
    const startMs = performance.now();
    const due = arrivals.map(({ rate }) => startMs + this.#pauseMs(rate));
    for (let nowMs = startMs; nowMs < startMs + timeMs; nowMs = performance.now()) {
      for (const [at, { rate, from }] of arrivals.entries()) {
        for (let dueMs = due[at] ?? 0; dueMs <= nowMs; dueMs += this.#pauseMs(rate), due[at] = dueMs) {
          answers.push(this.call(from, dueMs, startMs));
        }
      }
      await delay(tickMs);
    }
    return Promise.all(answers);
  }

  /** So many callers for a time, each of which calls again when it is answered. */
  async runClosed(callers: number, timeMs: number): Promise<readonly Answer[]> {
    const answers: Answer[] = [];
    const startMs = performance.now();
    const one = async (): Promise<void> => {
      while (performance.now() - startMs < timeMs) {
        answers.push(await this.call("127.0.0.1", performance.now(), startMs));
      }
    };
    await Promise.all(Array.from({ length: callers }, one));
    return answers;
  }

  #agent(from: string): Agent {
    const known = this.#agents.get(from) ?? new Agent({ keepAlive: true, maxFreeSockets: Infinity });
    this.#agents.set(from, known);
    return known;
  }

  #pauseMs(rate: number): number {
    return (-Math.log(1 - this.#random()) * 1000) / rate;
  }

  [Symbol.dispose](): void {
    for (const agent of this.#agents.values()) agent.destroy();
  }
}
