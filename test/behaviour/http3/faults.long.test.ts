/** HTTP/3 under faults of networks and clients, seen by aioquic. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { promisify } from "node:util";
import { pythonPackages } from "../../../conformance/python-packages.ts";
import { http3Counts } from "../../../src/core/net/http3-counts.ts";
import { http3Script, onlyAnswer, type ScriptedRequest } from "../../support/http3-client.ts";
import { startHttp3 } from "./http3-fixture.ts";

const env = await pythonPackages("aioquic==1.3.0");
const json = [["content-type", "application/json"]] as const;
const echo: ScriptedRequest = { method: "POST", path: "/test/v1/echo", headers: json, body: '{"text":"hi"}' };

/** Sends a packet from an address of loopback. @returns what comes back within `waitMs` milliseconds */
async function sendFrom(address: string, port: number, packet: Buffer, waitMs: number): Promise<Buffer[]> {
  const socket = createSocket("udp4");
  const answers: Buffer[] = [];
  socket.on("message", (answer) => answers.push(answer));
  socket.bind(0, address);
  await once(socket, "listening");
  await new Promise((resolve) => socket.send(packet, port, "127.0.0.1", resolve));
  if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  socket.close();
  return answers;
}

/** The head of an Initial packet of QUIC 1 (RFC 9000 17.2.2) with bytes that no one can decrypt. */
function initialPacket(): Buffer {
  const head = Buffer.from([0xc3, 0, 0, 0, 1, 8, ...randomBytes(8), 8, ...randomBytes(8), 0, 0x44, 0x90]);
  return Buffer.concat([head, randomBytes(1200 - head.length)]);
}

/** In a process of its own, so that what it takes is not the server's. */
const flooder = `
import os, socket, sys
for n in range(10000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f"127.1.{n // 250}.{n % 250 + 1}", 0))
    head = bytes([0xc3, 0, 0, 0, 1, 8]) + os.urandom(8) + bytes([8]) + os.urandom(8) + bytes([0, 0x44, 0x90])
    s.sendto(head + os.urandom(1200 - len(head)), ("127.0.0.1", int(sys.argv[1])))
    s.close()
`;

/** Sends the first packet of a handshake from each of 10,000 addresses. */
async function flood(port: number): Promise<void> {
  await promisify(execFile)("python3", ["-c", flooder, String(port)]);
}

test("E17: handshakes from 10,000 addresses get a Retry each, and no state is kept", async () => {
  await using gateway = await startHttp3();
  const [retry] = await sendFrom("127.0.1.1", gateway.udpPort, initialPacket(), 300);
  assert.equal((retry?.[0] ?? 0) & 0xf0, 0xf0, "the answer is a Retry packet");
  const before = process.memoryUsage().rss;
  await flood(gateway.udpPort);
  assert.equal(http3Counts.open, 0);
  const grown = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(grown < 32, `memory has grown by ${grown} MiB`);
  const answer = onlyAnswer(await http3Script(env, gateway.udpPort, [{ steps: [{ ask: echo }] }]));
  assert.equal(answer.status, 200);
});

test("E17: packets of unknown connections, and bytes that are no QUIC, are ignored", async () => {
  await using gateway = await startHttp3();
  for (const packet of [
    Buffer.concat([Buffer.from([0x40]), randomBytes(60)]),
    randomBytes(1200),
    Buffer.alloc(1200),
    Buffer.from([0xc0]),
  ]) {
    await sendFrom("127.0.0.1", gateway.udpPort, packet, 50);
  }
  assert.equal(http3Counts.open, 0);
  const answer = onlyAnswer(await http3Script(env, gateway.udpPort, [{ steps: [{ ask: echo }] }]));
  assert.equal(answer.status, 200);
});

test("E17: with 5 % of the packets lost, and packets of 1,280 bytes, requests are answered", async () => {
  await using gateway = await startHttp3();
  const large = { ...echo, body: JSON.stringify({ text: "x".repeat(100_000) }) };
  const [outcome] = await http3Script(env, gateway.udpPort, [
    { loss: 0.05, mtu: 1280, steps: [{ ask: large }, { all: Array.from({ length: 20 }, () => echo) }] },
  ]);
  const [one, all] = outcome?.results ?? [];
  assert.equal(one?.status, 200);
  assert.deepEqual(
    all?.map(({ status }) => status),
    Array.from({ length: 20 }, () => 200),
  );
});

test("E17: a body that comes byte by byte is ended by its time limit", async () => {
  await using gateway = await startHttp3({ bodyTimeoutMs: 1000, connectionsCheckingIntervalMs: 100 });
  const { body: _, ...rest } = echo;
  const drip = { ...rest, chunks: Array.from({ length: 10 }, () => [0.5, " "] as const) };
  const answer = onlyAnswer(await http3Script(env, gateway.udpPort, [{ steps: [{ ask: drip }] }]));
  assert.deepEqual([answer.status, gateway.echo.calls], [408, 0]);
});
