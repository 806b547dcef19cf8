import { test } from "node:test";
import { messageCalls } from "../../support/message-calls.ts";
import { withoutNats as skip } from "../../support/nats-server.ts";
import { natsFixture } from "./nats-fixture.ts";

const nats = natsFixture();

for (const { name, run } of messageCalls) {
  test(`${name}, over NATS`, { skip }, () => run(() => nats.broker()));
}
