import { Agent, request, type RequestOptions } from "node:http";
import { text } from "node:stream/consumers";
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

/** A kind of calls of a load. */
interface Lane {
  readonly call: LoadCall;
  begun: number;
  inFlight: number;
}

/** Makes calls at a rate, until it is stopped. */
export class SteadyLoad implements Disposable {
  readonly #calls = new Set<Promise<void>>();
  readonly #lost: string[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #lanes: readonly Lane[];
  #done = 0;

  /**
   * @param perSecond calls of each kind in a second
   * @param most of a kind that are under way at a time: further ones wait. Default: any number, whatever becomes of those
   *   before. A machine that is too busy for the rate never gets well again without a limit
   */
  constructor(kinds: readonly LoadCall[], perSecond: number, most = Infinity) {
    this.#lanes = kinds.map((call) => ({ call, begun: 0, inFlight: 0 }));
    const startedMs = performance.now();
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedMs) * perSecond) / 1_000);
      for (const lane of this.#lanes) {
        while (lane.begun < due && lane.inFlight < most) this.#make(lane);
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

  /** Calls that have neither succeeded nor failed. */
  get inFlight(): number {
    return this.#calls.size;
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

  #make(lane: Lane): void {
    lane.inFlight++;
    const made = lane.call(lane.begun++).then(
      () => void this.#done++,
      (error: unknown) => void this.#lost.push(error instanceof Error ? error.message : String(error)),
    );
    this.#calls.add(made);
    void made.then(() => {
      lane.inFlight--;
      this.#calls.delete(made);
    });
  }
}

/** REST over connections that are kept. @param address host and port */
export function restCalls(address: string, connections = 8): LoadCall & Disposable {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const call = async (number: number): Promise<void> => {
    await ask(address, { agent, path: `/test/v1/echo/n${number}` });
  };
  return Object.assign(call, { [Symbol.dispose]: () => agent.destroy() });
}

/** REST over a new connection for each call. */
export function freshCalls(address: string): LoadCall {
  return async (number) => {
    await ask(address, { agent: new Agent({ keepAlive: false }), path: `/test/v1/echo/f${number}` });
  };
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
  const headers = { "content-type": "application/x-ndjson" };
  const call = async (): Promise<void> => {
    await ask(address, { agent, path: "/test/v1/collect", method: "POST", headers }, line.repeat(20));
  };
  return Object.assign(call, { [Symbol.dispose]: () => agent.destroy() });
}

/** Asks, and resolves with the text of the answer. @throws Error for a broken connection or another status than 200 */
function ask(
  address: string,
  options: RequestOptions & { readonly path: string },
  body?: string,
): Promise<string> {
  const [host, port] = address.split(":");
  const { path } = options;
  return new Promise((resolve, reject) => {
    let hasAnswer = false;
    const asked = request({ ...options, host, port }, (response) => {
      hasAnswer = true;
      text(response).then((said) => {
        if (response.statusCode === 200) resolve(said);
        else reject(new Error(`${path}: status ${response.statusCode} ${said.slice(-200)}`));
      }, reject);
    });
    asked.once("error", (error) => {
      // A server may close a connection that it has long kept just as a request begins. Clients of HTTP send a GET again
      // then, on another one (RFC 9110, 9.2.2); a POST is lost.
      if (asked.reusedSocket && !hasAnswer && body === undefined) resolve(ask(address, options));
      else reject(new Error(`${path}: ${error.message}`));
    });
    asked.end(body);
  });
}

/** Streams of five events in half a second, which must come to their end. */
export function eventStreams(address: string): LoadCall & Disposable {
  const agent = new Agent({ keepAlive: true });
  const headers = { accept: "text/event-stream" };
  const call = async (number: number): Promise<void> => {
    const path = `/test/v1/repeat/e${number}?count=5&intervalMs=100`;
    const said = await ask(address, { path, agent, headers });
    if (!/^event: end$/m.test(said)) throw new Error(`${path}: ${said.slice(-200)}`);
  };
  return Object.assign(call, { [Symbol.dispose]: () => agent.destroy() });
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
