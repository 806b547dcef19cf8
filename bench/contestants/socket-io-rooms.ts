/** A room of socket.io, by WebSocket only; its argument is the folder in which it is installed. */
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { lineOf } from "../lines.ts";
import { takePart } from "./take-part.ts";

/** What is used of `socket.io`, which is no package of this project. */
interface SocketIo {
  readonly Server: new (server: object, options: object) => IoServer;
}

interface IoServer {
  on(event: "connection", listener: (socket: { join(room: string): void }) => void): void;
  to(room: string): { emit(event: string, message: object): void };
}

const [folder = ""] = process.argv.slice(2);
const { Server } = createRequire(join(folder, "package.json"))("socket.io") as SocketIo;
const server = createServer();
const io = new Server(server, { transports: ["websocket"], pingInterval: 3_600_000, serveClient: false });
io.on("connection", (socket) => socket.join("hall"));

let published = 0;
server.listen(0, "127.0.0.1", () =>
  takePart({
    port: (server.address() as AddressInfo).port, // It listens on TCP.
    publish(count) {
      for (let i = 0; i < count; i++) io.to("hall").emit("line", lineOf(++published));
    },
  }),
);
