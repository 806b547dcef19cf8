/** The page of the chat in front of two gateways that Redis joins: one of them is killed. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { test } from "node:test";
import { ChatPage } from "../support/chat-page.ts";
import { noChromium, startChromium } from "../support/chromium.ts";
import { Program } from "../support/program.ts";
import { RedisServer } from "../support/redis-server.ts";

/** A port in front of several: each connection goes to the next one that takes it. */
async function startBalancer(targets: readonly string[]) {
  let next = 0;
  const open = (client: Socket, left: number): void => {
    const port = Number(targets[next++ % targets.length]?.split(":")[1]);
    const upstream = connect(port, "127.0.0.1");
    const fail = (): void => {
      if (left > 1) open(client, left - 1);
      else client.destroy();
    };
    upstream.once("error", fail);
    upstream.once("connect", () => {
      upstream.off("error", fail);
      client.pipe(upstream).pipe(client);
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on("error", () => other.destroy());
        one.on("close", () => other.destroy());
      }
    });
  };
  const server = createServer((client) => open(client, targets.length)).listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

test(
  "two browsers, two gateways on Redis, one killed: nothing is lost and nothing is doubled",
  { skip: noChromium },
  async () => {
    await using stack = new AsyncDisposableStack();
    const redis = await RedisServer.start();
    stack.defer(() => redis.stop());
    const flags = ["--grpc-port=0", "--http-port=0", "--exporter-port=off", "--log-level=error"];
    const gateways = [1, 2].map(() =>
      stack.use(new Program("examples/gateway.ts", ...flags, `--hub-bus=${redis.url}`)),
    );
    const addresses = await Promise.all(gateways.map((gateway) => gateway.address("HTTP")));
    const { origin, server } = await startBalancer(addresses);
    stack.defer(() => void server.close());
    const browser = await startChromium();
    stack.defer(() => browser.close());
    const ada = stack.use(await ChatPage.open(browser, origin, "Ada"));
    const bob = stack.use(await ChatPage.open(browser, origin, "Bob"));
    const lines = Array.from(
      { length: 30 },
      (_, index) => `line ${index} of ${index % 2 === 0 ? "Ada" : "Bob"}.`,
    );
    for (const [index, line] of lines.entries()) {
      await (index % 2 === 0 ? ada : bob).say(line);
      if (index === 10) gateways[0]?.kill("SIGKILL");
    }
    for (const one of [ada, bob]) {
      await one.live();
      for (const line of lines) await one.has(line);
      assert.deepEqual((await one.texts()).toSorted(), lines.toSorted());
    }
    assert.deepEqual(await bob.texts(), await ada.texts());
  },
);
