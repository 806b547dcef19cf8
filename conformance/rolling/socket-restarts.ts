import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { Load } from "./load.ts";
import { SocketService } from "./passed-sockets.ts";

/**
 * Restarts by systemd's socket, while each call makes a connection of its own.
 *
 * @throws Error if a call is lost
 */
export async function socketRestarts(rounds: number, leastCalls: number): Promise<void> {
  const { service, http, grpc } = await SocketService.open();
  await using _ = service;
  await service.start();
  const load = new Load(`127.0.0.1:${http}`, { grpc: `127.0.0.1:${grpc}`, keepsConnections: false });
  try {
    for (let round = 1; round <= rounds; round++) {
      while (load.calls < (round * leastCalls) / rounds) await delay(50);
      assert.equal(await service.stop(), 0);
      await service.start();
    }
    await delay(500);
    load.check();
  } finally {
    await load.end();
    await service.stop();
  }
  console.log(`rolling: ${load.failures.length} of ${load.calls} calls on new connections lost`);
}
