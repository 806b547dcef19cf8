import assert from "node:assert/strict";
import { Agent, get } from "node:http";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { frameType, http2Frame, preface } from "../support/http2-frames.ts";
import { callTimes, quantile, WaitingServer } from "../support/waiting-server.ts";

const size = 10_000;
const atOnce = 100;

interface Kind {
  /** What a client says. */
  readonly says: Uint8Array;
  /** What is in the answer by which the connection is ready to wait. */
  readonly answer: string;
  /** So many resident bytes a connection may take. */
  readonly mostBytes: number;
}

function head(...lines: readonly string[]): Uint8Array {
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
}

const kinds: Readonly<Record<string, Kind>> = {
  "HTTP/1.1": {
    says: head("GET /test/v1/echo/ready HTTP/1.1", "host: x"),
    answer: "ready",
    mostBytes: 8 * 1024,
  },
  "HTTP/2": {
    says: Buffer.concat([
      preface,
      http2Frame(frameType.settings, 0, 0),
      http2Frame(frameType.settings, 1, 0),
      http2Frame(frameType.ping, 0, 0, Buffer.from("answered")),
    ]),
    answer: "answered",
    mostBytes: 8 * 1024,
  },
  SSE: {
    says: head("GET /test/v1/repeat/ready HTTP/1.1", "host: x", "accept: text/event-stream"),
    answer: "ready",
    mostBytes: 32 * 1024,
  },
  WebSocket: {
    says: head(
      "GET /test/v1/repeat/ready HTTP/1.1",
      "host: x",
      "connection: upgrade",
      "upgrade: websocket",
      "sec-websocket-version: 13",
      "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    answer: "ready",
    mostBytes: 64 * 1024,
  },
};

/** Opens a connection and waits for its answer. */
function waiting(port: number, { says, answer }: Kind): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(says));
    let text = "";
    const read = (chunk: Buffer): void => {
      text += chunk.toString("latin1");
      if (!text.includes(answer)) return;
      socket.off("data", read).resume();
      resolve(socket);
    };
    socket.on("data", read).once("close", () => reject(new Error(`closed after ${text}`)));
    socket.on("error", reject);
  });
}

for (const [name, kind] of Object.entries(kinds)) {
  test(`O07: 10,000 idle connections are kept, cost little, and delay no call: ${name}`, async (t) => {
    using server = await WaitingServer.start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const call = (): Promise<void> =>
      new Promise((resolve, reject) => {
        get(`http://127.0.0.1:${server.port}/test/v1/echo/a`, { agent }, (response) => {
          response.resume().once("end", resolve);
        }).once("error", reject);
      });
    await callTimes(call, 1_000);
    const before = await server.memory();
    const sockets: Socket[] = [];
    try {
      while (sockets.length < size) {
        sockets.push(
          ...(await Promise.all(Array.from({ length: atOnce }, () => waiting(server.port, kind)))),
        );
      }
      const bytes = ((await server.memory()) - before) / size;
      const p99 = quantile(await callTimes(call, 2_000), 0.99);
      const closed = sockets.filter((socket) => socket.closed || socket.readableEnded).length;
      t.diagnostic(`${Math.round(bytes)} bytes a connection, p99 ${p99.toFixed(1)} ms`);
      assert.equal(closed, 0);
      assert.ok(bytes <= kind.mostBytes, `${bytes} bytes a connection`);
      assert.ok(p99 < 20, `p99 ${p99} ms`);
    } finally {
      for (const socket of sockets) socket.removeAllListeners("close").destroy();
      agent.destroy();
    }
  });
}
