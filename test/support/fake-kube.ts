import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

/** A list or watch that an API server got. */
export class KubeCall {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly authorization: string | undefined;
  /** Whether the client has given up, or the call is answered. */
  isClosed = false;
  readonly #response: ServerResponse;

  constructor(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url ?? "", "http://api");
    this.path = url.pathname;
    this.query = url.searchParams;
    this.authorization = request.headers.authorization;
    this.#response = response;
    response.once("close", () => (this.isClosed = true));
  }

  get isWatch(): boolean {
    return this.query.get("watch") === "1";
  }

  /** Answers a list. */
  list(items: readonly object[], resourceVersion: string): void {
    this.reply(200, { kind: "List", metadata: { resourceVersion }, items });
  }

  reply(status: number, body: unknown = {}, headers: Readonly<Record<string, string>> = {}): void {
    this.#response.writeHead(status, headers).end(JSON.stringify(body));
  }

  /** Begins to answer a watch. */
  open(): this {
    this.#response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    return this;
  }

  /** An event of a watch. */
  event(type: string, object: object): this {
    return this.write(`${JSON.stringify({ type, object })}\n`);
  }

  write(bytes: string | Uint8Array): this {
    this.#response.write(bytes);
    return this;
  }

  /** The good end of a watch. */
  end(): void {
    this.#response.end();
  }

  /** The connection is lost. */
  destroy(): void {
    this.#response.destroy();
  }
}

/** Lists and watches of an API server of Kubernetes in this process, for what a real one does not do on demand. */
export class FakeKube implements AsyncDisposable {
  /** Each call so far. */
  readonly calls: KubeCall[] = [];
  readonly url: string;
  /** Answers a call, or returns false to have the call wait for `next()`. */
  script: (call: KubeCall) => boolean = () => false;
  readonly #server: Server;
  readonly #arrived: KubeCall[] = [];
  readonly #waiting: ((call: KubeCall) => void)[] = [];

  private constructor(server: Server, scheme: string) {
    this.#server = server;
    this.url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`; // Of a server that listens on TCP.
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      const call = new KubeCall(request, response);
      this.calls.push(call);
      if (this.script(call)) return;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#arrived.push(call);
      else waiting(call);
    });
  }

  static async start(tls?: { readonly cert: string; readonly key: string }): Promise<FakeKube> {
    const server = (tls === undefined ? createServer() : createTlsServer(tls)).listen(0, "127.0.0.1");
    await once(server, "listening");
    return new FakeKube(server, tls === undefined ? "http" : "https");
  }

  /** The next call that the script has not answered. */
  async next(): Promise<KubeCall> {
    return this.#arrived.shift() ?? (await new Promise((resolve) => this.#waiting.push(resolve)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** An endpoint of a slice. */
export function sliceEndpoint(host: string, more: object = {}): object {
  return { addresses: [host], conditions: { ready: true }, ...more };
}

/** An EndpointSlice of the service `users`, with the port `grpc` unless told otherwise. */
export function slice(
  name: string,
  version: number,
  endpoints: readonly object[],
  more: object = {},
): object {
  return {
    metadata: { name, namespace: "shop", resourceVersion: String(version) },
    addressType: "IPv4",
    endpoints,
    ports: [{ name: "grpc", port: 42_001, protocol: "TCP" }],
    ...more,
  };
}
