import { Agent, request } from "node:http";
import { createClient, dial } from "../../src/index.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";

/** What became of the calls of a load. */
export interface LoadReport {
  readonly done: number;
  /** Why calls have failed, a line each. */
  readonly lost: readonly string[];
}

/** A call of a load. @throws Error if it is lost */
export type LoadCall = (number: number) => Promise<void>;

/** Makes calls at a rate, whatever becomes of those before, until it is stopped. */
export class SteadyLoad implements Disposable {
  readonly #calls = new Set<Promise<void>>();
  readonly #lost: string[] = [];
  readonly #timer: NodeJS.Timeout;
  #begun = 0;
  #done = 0;

  /** @param perSecond calls of each kind in a second */
  constructor(kinds: readonly LoadCall[], perSecond: number) {
    const startedMs = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1_000);
      while (this.#begun < due) {
        const number = this.#begun++;
        for (const call of kinds) this.#make(call, number);
      }
    }, 5);
  }

  /** Calls that have succeeded. */
  get done(): number {
    return this.#done;
  }

  get lost(): readonly string[] {
    return this.#lost;
  }

  /** Ends it, and waits for its calls. */
  async stop(): Promise<LoadReport> {
    clearInterval(this.#timer);
    await Promise.all(this.#calls);
    return { done: this.#done, lost: this.#lost };
  }

  /** Ends it without a wait. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #make(call: LoadCall, number: number): void {
    const made = call(number).then(
      () => void this.#done++,
      (error: unknown) => void this.#lost.push(error instanceof Error ? error.message : String(error)),
    );
    this.#calls.add(made);
    void made.then(() => this.#calls.delete(made));
  }
}

/** REST over connections that are kept. @param address host and port */
export function restCalls(address: string, connections = 8): LoadCall & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const call = (number: number): Promise<void> => ask(address, agent, `/test/v1/echo/n${number}`);
  return Object.assign(call, { [Symbol.dispose]: () => agent.destroy() });
}

/** REST over a new connection for each call. */
export function freshCalls(address: string): LoadCall {
  return (number) => ask(address, new Agent({ keepAlive: false }), `/test/v1/echo/f${number}`);
}

/** gRPC by a client of ours. */
export function grpcCalls(address: string): LoadCall & Disposable {
  const transport = dial(address);
  const client = createClient(EchoService, transport);
  const call = async (number: number): Promise<void> => {
    await client.echo({ text: `g${number}` });
  };
  return Object.assign(call, { [Symbol.dispose]: () => transport.close() });
}

/** Uploads of many small pieces, each as one call. */
export function uploadCalls(address: string, connections = 4): LoadCall & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const line = `${JSON.stringify({ text: "x".repeat(1_000) })}\n`;
  const call = (): Promise<void> => ask(address, agent, "/test/v1/collect", line.repeat(20));
  return Object.assign(call, { [Symbol.dispose]: () => agent.destroy() });
}

function ask(address: string, agent: Agent, path: string, body?: string): Promise<void> {
  const [host, port] = address.split(":");
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host,
        port,
        path,
        agent,
        ...(body === undefined
          ? {}
          : { method: "POST", headers: { "content-type": "application/x-ndjson" } }),
      },
      (response) => {
        response.resume();
        response.once("end", () =>
          response.statusCode === 200
            ? resolve()
            : reject(new Error(`${path}: status ${response.statusCode}`)),
        );
        response.once("error", reject);
      },
    );
    asked.once("error", (error) => reject(new Error(`${path}: ${error.message}`)));
    asked.end(body);
  });
}

/** Streams of five events in half a second, which must come to their end. */
export function eventStreams(address: string): LoadCall {
  return async (number) => {
    const path = `/test/v1/repeat/e${number}?count=5&intervalMs=100`;
    const response = await fetch(`http://${address}${path}`, { headers: { accept: "text/event-stream" } });
    const text = await response.text();
    if (!/^event: end$/m.test(text)) throw new Error(`${path}: ${response.status} ${text.slice(-200)}`);
  };
}

/** WebSockets on which five messages come in half a second, and a good end. */
export function socketStreams(address: string): LoadCall {
  return (number) =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://${address}/test/v1/repeat/w${number}?count=5&intervalMs=100`);
      let messages = 0;
      socket.addEventListener("message", () => messages++);
      socket.addEventListener("close", ({ code, reason }) => {
        if (code === 1000 && messages >= 5) resolve();
        else reject(new Error(`socket ${number}: closed with ${code} ${reason} after ${messages} messages`));
      });
    });
}
