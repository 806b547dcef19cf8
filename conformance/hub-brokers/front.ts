import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A port in front of servers: each connection goes to one that takes it, by turns. */
export class Front {
  readonly #ports: readonly number[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #turn = 0;

  constructor(ports: readonly number[]) {
    this.#ports = ports;
    this.#server = createServer((client) => this.#join(client, this.#turn++, this.#ports.length));
  }

  /** @returns its address */
  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? `127.0.0.1:${address.port}` : "";
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #join(client: Socket, turn: number, left: number): void {
    if (left === 0) {
      client.resetAndDestroy();
      return;
    }
    client.on("error", () => {});
    const server = connect(this.#ports[turn % this.#ports.length] ?? 0, "127.0.0.1");
    const next = (): void => this.#join(client, turn + 1, left - 1);
    server.once("error", next);
    server.once("connect", () => {
      server.off("error", next);
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        one.setNoDelay(true);
        this.#sockets.add(one);
        one.on("error", () => {});
        one.once("close", () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }
}
