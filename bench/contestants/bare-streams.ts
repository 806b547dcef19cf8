/**
 * Bare loops that write the messages of a stream in every encoding and wait for `drain`: with Node only, or with `ws`
 * for WebSocket.
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Writable } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import { followed } from "../works.ts";
import { takePart } from "./take-part.ts";

const server = createServer((request, response) => {
  const count = countOf(request.url);
  const { accept } = request.headers;
  if (accept === "text/event-stream") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": open\n\n");
    void writeAll(response, count, (weight) => `id: ${weight}\ndata: ${textOf(weight)}\n\n`).then(() =>
      response.end('event: end\ndata: {"trailers":{}}\n\n'),
    );
  } else if (accept === "application/json") {
    response.writeHead(200, { "content-type": "application/json" });
    response.write("[");
    void writeAll(response, count, (weight) => (weight === 1 ? "" : ",") + textOf(weight)).then(() =>
      response.end("]"),
    );
  } else {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    void writeAll(response, count, (weight) => `${textOf(weight)}\n`).then(() => response.end());
  }
});

const webSockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

server.on("upgrade", (request, socket, head) => {
  webSockets.handleUpgrade(request, socket, head, (webSocket) => {
    void sendAll(webSocket, socket, countOf(request.url));
  });
});

server.listen(0, "127.0.0.1", () => takePart({ port: (server.address() as AddressInfo).port })); // It listens on TCP.

async function writeAll(out: Writable, count: number, textFor: (weight: number) => string): Promise<void> {
  for (let weight = 1; weight <= count; weight++) {
    if (!out.write(textFor(weight))) await once(out, "drain");
  }
}

async function sendAll(webSocket: WebSocket, socket: Writable, count: number): Promise<void> {
  for (let weight = 1; weight <= count; weight++) {
    webSocket.send(textOf(weight));
    if (socket.writableNeedDrain) await once(socket, "drain");
  }
  webSocket.send('{"status":{"code":0,"message":"","details":[]},"headers":{},"trailers":{}}');
  webSocket.close(1000);
}

/** Members in the order of the contract. */
function textOf(weight: number): string {
  return JSON.stringify({ name: followed.name, weight, address: followed.address });
}

function countOf(url = ""): number {
  return Number(new URLSearchParams(url.split("?")[1]).get("count"));
}
