import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A TCP proxy that can stop passing bytes while all connections stay open: how a client looks that vanished. */
export interface StallingProxy extends AsyncDisposable {
  readonly port: number;
  stall(): void;
}

/** Starts a proxy in front of `port` of this machine. */
export async function stallingProxy(port: number): Promise<StallingProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.pipe(to);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    stall() {
      for (const socket of sockets) socket.unpipe().pause();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
