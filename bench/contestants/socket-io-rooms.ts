/**
 * A room of socket.io, by WebSocket only, and others that clients join and leave by events; its argument is the folder in
 * which it is installed.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { lineOf } from "../lines.ts";
import { socketIoServer } from "../socket-io.ts";
import { takePart } from "./take-part.ts";

const [folder = ""] = process.argv.slice(2);
const server = createServer();
const io = socketIoServer(folder, server);
io.on("connection", (socket) => {
  socket.join("hall");
  socket.on("join", (room, done) => {
    socket.join(room);
    done("joined");
  });
  socket.on("leave", (room, done) => {
    socket.leave(room);
    done("left");
  });
});

let published = 0;
server.listen(0, "127.0.0.1", () =>
  takePart({
    port: (server.address() as AddressInfo).port, // It listens on TCP.
    publish(count) {
      for (let i = 0; i < count; i++) io.to("hall").emit("line", lineOf(++published));
    },
  }),
);
