import { createRequire } from "node:module";
import { join } from "node:path";

/** What is used of `socket.io`, which is no package of this project. */
interface SocketIo {
  readonly Server: new (server: object, options: object) => IoServer;
}

/** A server of socket.io. */
export interface IoServer {
  on(event: "connection", listener: (socket: IoSocket) => void): void;
  to(room: string): { emit(event: string, message: object): void };
}

/** A client, as its server sees it. */
export interface IoSocket {
  join(room: string): void;
  leave(room: string): void;
  on(event: string, listener: (room: string, done: (answer: string) => void) => void): void;
}

/** What is used of `@socket.io/redis-streams-adapter`. */
interface StreamsAdapter {
  createAdapter(client: object): object;
}

/**
 * A server of socket.io, by WebSocket only, and without pings while a row is measured.
 *
 * @param folder in which it is installed
 * @param client of Redis, by which it is joined with others; undefined for none
 */
export function socketIoServer(folder: string, server: object, client?: object): IoServer {
  const installed = createRequire(join(folder, "package.json"));
  const { Server } = installed("socket.io") as SocketIo;
  const adapter = (): object =>
    (installed("@socket.io/redis-streams-adapter") as StreamsAdapter).createAdapter(client ?? {});
  return new Server(server, {
    transports: ["websocket"],
    pingInterval: 3_600_000,
    serveClient: false,
    ...(client !== undefined && { adapter: adapter() }),
  });
}
