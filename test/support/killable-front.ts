import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * A port in front of a server which looks like its process: it can be killed, with all connections reset, and started
 * again on the same port.
 */
export class KillableFront implements AsyncDisposable {
  readonly #upstream: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  /** The port; 0 before the first start. */
  port = 0;
  /** Connections that were accepted so far. */
  accepted = 0;
  /** How long a connection lasts, in milliseconds, or of each by its number, from 0. Default: as long as both sides want. */
  lifeMs: number | ((index: number) => number) | undefined;

  /** @param upstream the port of the server, on this machine */
  constructor(upstream: number) {
    this.#upstream = upstream;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size / 2; // Each has a socket on either side.
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  async start(): Promise<this> {
    const server = createServer((client) => this.#accept(client)).listen(this.port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address === "object" && address !== null) this.port = address.port;
    this.#server = server;
    return this;
  }

  /** Resets all connections, and refuses new ones. */
  async kill(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.resetAndDestroy();
    this.#sockets.clear();
    if (server === undefined) return;
    server.close();
    await once(server, "close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  #accept(client: Socket): void {
    const index = this.accepted++;
    const upstream = connect(this.#upstream, "127.0.0.1").setNoDelay(true);
    client.setNoDelay(true);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      this.#sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    const lifeMs = typeof this.lifeMs === "function" ? this.lifeMs(index) : this.lifeMs;
    if (lifeMs !== undefined) setTimeout(() => client.resetAndDestroy(), lifeMs);
  }
}
