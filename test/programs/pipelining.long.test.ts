import assert from "node:assert/strict";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { Program } from "../support/program.ts";

const path = "/v1/shelves/1/books";

/** Sends requests in one piece on each of ten connections, and resolves when all are answered. */
async function flood(port: number): Promise<void> {
  const requests = `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(999);
  const last = `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;
  await Promise.all(
    Array.from({ length: 10 }, () => {
      const socket = connect(port, "127.0.0.1", () => socket.write(requests + last));
      socket.resume(); // Reading the answers would cost this process time, which is not to be measured.
      return new Promise<void>((resolve, reject) =>
        socket.once("close", () => resolve()).once("error", reject),
      );
    }),
  );
}

function timed(port: number, agent: Agent): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = get({ port, host: "127.0.0.1", path, agent }, (response) => {
      assert.equal(response.statusCode, 200);
      response.resume().once("end", () => resolve(performance.now() - began));
    });
    request.once("error", reject);
  });
}

test("H30: ten connections that pipeline 1,000 requests each take turns with others", async (t) => {
  await using program = new Program(
    "examples/gateway.ts",
    "--http-port=0",
    "--grpc-port=0",
    "--exporter-port=off",
  );
  const port = Number((await program.address("HTTP")).split(":")[1]);
  const agent = new Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  for (let count = 0; count < 200; count++) await timed(port, agent);
  /** The longest wait of a round for another connection, as a part of the round. */
  const shares: number[] = [];
  for (let round = 0; round < 4; round++) {
    let busy = true;
    const began = performance.now();
    const flooded = flood(port).finally(() => (busy = false));
    let most = 0;
    while (busy) most = Math.max(most, await timed(port, agent));
    await flooded;
    shares.push(most / (performance.now() - began));
  }
  // Where the requests of a connection are served one right behind the other, it is a fifth and more in every round.
  assert.ok(Math.min(...shares) < 0.12, `the longest waits were ${shares.join(", ")} of the rounds`);
});
