/**
 * Two nodes of socket.io in one process, joined by Redis: what the first one publishes reaches the clients of the second
 * one. Its arguments are the folder in which socket.io is installed, and the URL of Redis.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createClient } from "@redis/client";
import { lineOf } from "../lines.ts";
import { type IoServer, socketIoServer } from "../socket-io.ts";
import { takePart } from "./take-part.ts";

const [folder = "", url = ""] = process.argv.slice(2);

async function node(): Promise<{ readonly io: IoServer; readonly port: number }> {
  const client = createClient({ url });
  await client.connect();
  const server = createServer();
  const io = socketIoServer(folder, server, client);
  io.on("connection", (socket) => socket.join("hall"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { io, port: (server.address() as AddressInfo).port }; // It listens on TCP.
}

const publisher = await node();
const { port } = await node();
let published = 0;
takePart({
  port,
  publish(count) {
    for (let i = 0; i < count; i++) publisher.io.to("hall").emit("line", lineOf(++published));
  },
});
