import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { startGateway } from "../../support/gateway-fixture.ts";
import { SocketClient } from "./socket-client.ts";

/** How both sides of a conversation behave, step by step. */
const stalls = fc.record({
  messages: fc.array(
    fc.record({ size: fc.integer({ min: 0, max: 40_000 }), stall: fc.boolean(), fragment: fc.boolean() }),
    { minLength: 1, maxLength: 120 },
  ),
  readerStalls: fc.array(fc.integer({ min: 0, max: 119 }), { maxLength: 5 }),
});

const runs = { numRuns: 25 };

for (const [name, path] of [
  ["a socket of a route", "/test/v1/chat"],
  ["a multiplexed socket", "/ws"],
] as const) {
  test(`property: N messages in are N out, in order, exactly once, on ${name} under random stalls`, async () => {
    await using gateway = await startGateway();
    const many = path === "/ws";
    await fc.assert(
      fc.asyncProperty(stalls, async ({ messages, readerStalls }) => {
        const client = await new SocketClient(`ws://127.0.0.1:${gateway.port}${path}`).open();
        if (many) client.send('{"id":1,"method":"tsms.test.v1.EchoService/Chat"}');
        const paused = new Signal();
        let mayContinue = Promise.resolve();
        const sending = (async () => {
          for (const [index, { size, stall, fragment }] of messages.entries()) {
            const message = { text: `${index}:${"x".repeat(size)}` };
            const text = JSON.stringify(many ? { id: 1, message } : message);
            await mayContinue;
            if (fragment) {
              client.ws.send(text.slice(0, 9), { fin: false });
              client.ws.send(text.slice(9));
            } else client.ws.send(text);
            if (stall) await new Promise((resolve) => setImmediate(resolve));
          }
          client.send(many ? '{"id":1,"end":true}' : "");
        })();
        const got: string[] = [];
        for (;;) {
          const frame = await client.json();
          if ("status" in frame) break;
          if ("pause" in frame) {
            if (frame["pause"] === true) mayContinue = paused.arm();
            else paused.fire();
            continue;
          }
          const { text } = (many ? frame["message"] : frame) as { text: string };
          got.push(text);
          if (readerStalls.includes(got.length)) {
            client.ws.pause();
            await new Promise((resolve) => setTimeout(resolve, 3));
            client.ws.resume();
          }
        }
        await sending;
        client.ws.close();
        assert.deepEqual(
          got.map((text) => Number(text.split(":", 1)[0])),
          messages.map((_, index) => index),
        );
        assert.deepEqual(
          got.map((text) => text.length),
          messages.map(({ size }, index) => `${index}:`.length + size),
        );
      }),
      runs,
    );
  });
}

/** Something to wait for, again and again. */
class Signal {
  #waiting = Promise.withResolvers<void>();

  arm(): Promise<void> {
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  fire(): void {
    this.#waiting.resolve();
  }
}
