import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that an agent got. */
export interface AgentCall {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly token: string | undefined;
  readonly body: unknown;
  /** Answers it. @param index the header `X-Consul-Index`; undefined for none */
  reply(status: number, body?: unknown, index?: number | string): void;
}

/** Answers a call, or returns false to have the call wait for `next()`. */
export type AgentScript = (call: AgentCall) => boolean;

/** The HTTP API of a Consul agent of this process, for what a real one does not do on demand. */
export class FakeConsul implements AsyncDisposable {
  /** Each call so far, such as `PUT /v1/agent/service/register`. */
  readonly calls: AgentCall[] = [];
  script: AgentScript;
  readonly #server: Server;
  readonly #port: number;
  readonly #arrived: AgentCall[] = [];
  readonly #waiting: ((call: AgentCall) => void)[] = [];

  private constructor(server: Server, script: AgentScript) {
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port; // Of a server that listens on TCP.
    this.script = script;
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  /** @param script default: every call waits for `next()` */
  static async start(script: AgentScript = () => false, port = 0): Promise<FakeConsul> {
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    return new FakeConsul(server, script);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  /** Methods and paths of the calls so far. */
  get lines(): string[] {
    return this.calls.map(({ method, path }) => `${method} ${path}`);
  }

  /** The next call that the script has not answered. */
  async next(): Promise<AgentCall> {
    return this.#arrived.shift() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return; // The client has given up.
    }
    const url = new URL(request.url ?? "", this.url);
    const text = Buffer.concat(parts).toString();
    const token = request.headers["x-consul-token"];
    const call: AgentCall = {
      method: request.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      token: typeof token === "string" ? token : undefined,
      body: text === "" ? undefined : JSON.parse(text),
      reply(status, body, index) {
        if (index !== undefined) response.setHeader("x-consul-index", String(index));
        response.statusCode = status;
        response.end(typeof body === "string" ? body : JSON.stringify(body ?? {}));
      },
    };
    this.calls.push(call);
    if (this.script(call)) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#arrived.push(call);
    else waiting(call);
  }
}

/** An instance of an answer of `/v1/health/service/NAME`. */
export function instance(
  id: string,
  port: number,
  more: Readonly<Record<string, unknown>> = {},
  ...checks: string[]
) {
  return {
    Node: { Address: "10.9.9.9" },
    Service: {
      ID: id,
      Address: "10.0.0.1",
      Port: port,
      Weights: { Passing: 1, Warning: 1 },
      Meta: {},
      ...more,
    },
    Checks: ["passing", ...checks].map((Status) => ({ Status })),
  };
}
