import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { all, each, failure } from "../../support/failure.ts";
import { everyWay } from "../../support/transport-rig.ts";

const total = 100_000;
/** More than fits into all windows and buffers of a connection, and far less than everything. */
const bound = 5_000;
const payload = new Uint8Array(1_000);

/** Waits until `count` stands still, and returns it. */
async function standstill(count: () => number): Promise<number> {
  let last = -1;
  for (let quiet = 0; quiet < 10; await pause(20)) {
    quiet = count() === last ? quiet + 1 : 0;
    last = count();
    assert.ok(last <= bound, `nothing stops the producer: ${last}`);
  }
  return last;
}

everyWay("S01: a stalled client pauses the handler", async (make) => {
  const { client, echo, server } = await make();
  const controller = new AbortController();
  const replies = client
    .repeat({ count: total, payload }, { signal: controller.signal })
    [Symbol.asyncIterator]();
  assert.equal((await replies.next()).done, false);
  const produced = await standstill(() => echo.produced);
  assert.ok(produced < bound, String(produced));

  // It goes on as the client reads.
  for (let i = 0; i < 2_000; i++) await replies.next();
  await echo.until((counters) => counters.produced > produced);
  await replies.return?.();
  await server.dispatcher.idle();
});

everyWay("S01: a stalled handler pauses the client", async (make) => {
  let release: (() => void) | undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const { client } = await make({
    service: service(EchoService, {
      async collect(requests) {
        let count = 0;
        for await (const _ of requests) if (count++ === 0) await released;
        return { count };
      },
    }),
  });
  let produced = 0;
  async function* requests() {
    while (produced < 10_000) {
      produced++;
      yield { payload };
    }
  }
  const reply = client.collect(requests());
  assert.ok((await standstill(() => produced)) < bound);
  release?.();
  assert.equal((await reply).count, 10_000);
});

everyWay("S01: a bidi call whose replies nobody reads pauses on both sides", async (make) => {
  const { client, echo, server } = await make();
  let sent = 0;
  async function* requests() {
    while (sent < total) {
      sent++;
      yield { payload };
    }
  }
  const replies = client.chat(requests())[Symbol.asyncIterator]();
  await replies.next();
  assert.ok((await standstill(() => sent + echo.produced)) < bound);
  await replies.return?.();
  await server.dispatcher.idle();
});

everyWay("a long stream loses nothing to pauses", async (make) => {
  const { client } = await make();
  let expected = 0;
  for await (const { index } of client.repeat({ count: 3_000, payload })) {
    assert.equal(index, expected++);
    if (index % 500 === 0) await pause(1);
  }
  assert.equal(expected, 3_000);
  const replies = await all(
    client.chat(each(...Array.from({ length: 2_000 }, (_, i) => ({ text: String(i) })))),
  );
  assert.deepEqual(
    replies.map(({ text }) => text),
    Array.from({ length: 2_000 }, (_, i) => String(i)),
  );
});

everyWay(
  "messages larger than a read of the socket wait for a handler that does not take them",
  async (make) => {
    let made = 0;
    async function* requests() {
      for (;;) {
        made++;
        yield { payload: new Uint8Array(65_536) };
      }
    }
    const { client, transport } = await make({
      service: service(EchoService, {
        async collect(messages, { signal }) {
          for await (const _ of messages) await once(signal, "abort");
          return {};
        },
      }),
    });
    await transport.ready();
    await failure(client.collect(requests(), { timeoutMs: 1_000 }), Code.DeadlineExceeded);
    // The windows of client and server, and what the socket and one read hold.
    assert.ok(made < 64, `${made} messages were taken`);
  },
);
