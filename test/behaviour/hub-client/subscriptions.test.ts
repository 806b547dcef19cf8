/** Subscriptions of a client that loses its connection: each message once, in order, whatever happens. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { FeedService } from "../../../gen/tsms/test/v1/feed_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { connectHub, type HubClient } from "../../../src/hub-client/connect-hub.ts";
import type { HubClientOptions } from "../../../src/hub-client/hub-client-options.ts";
import type { LinkName } from "../../../src/hub-client/call/hub-state.ts";
import { Feed } from "../../support/feed-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { KillableFront } from "../../support/killable-front.ts";

/** Waits that a test can afford. */
const backoff = { initialMs: 20, maxMs: 50 };

interface Rig {
  readonly feed: Feed;
  readonly front: KillableFront;
  readonly hub: HubClient;
  readonly errors: unknown[];
}

/** A feed behind a front that can be killed, and a client that uses one kind of link. */
async function rig(
  t: TestContext,
  way: LinkName | "transport",
  options: Partial<HubClientOptions> = {},
): Promise<Rig> {
  const feed = new Feed(1000);
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  let port: number;
  if (way === "transport") {
    const grpc = new GrpcServer({ port: 0, logger: false }).addService(feed);
    await grpc.start();
    t.after(() => grpc.gracefulStop({ graceMs: 0 }));
    port = grpc.address?.port ?? 0;
  } else {
    const gateway = await startGateway({}, [feed]);
    t.after(() => gateway[Symbol.asyncDispose]());
    port = gateway.port;
  }
  const front = await new KillableFront(port).start();
  t.after(() => front.kill());
  const own = { backoff, onError, ...options };
  let hub: HubClient;
  if (way === "transport") {
    const transport = dial(front.address);
    t.after(() => transport.close());
    hub = connectHub(transport, own);
  } else hub = connectHub(`http://${front.address}/`, { transports: [way], ...own });
  t.after(() => hub.close());
  return { feed, front, hub, errors };
}

/** What a subscription has delivered, and a promise for so many of them. */
function collector(): {
  texts: string[];
  take: (text: string) => void;
  until: (count: number) => Promise<void>;
} {
  const texts: string[] = [];
  let wake = (): void => {};
  return {
    texts,
    take(text) {
      texts.push(text);
      wake();
    },
    async until(count) {
      while (texts.length < count) await new Promise<void>((resolve) => (wake = resolve));
    },
  };
}

for (const way of ["sse", "poll", "transport"] as const) {
  describe(`by ${way}`, () => {
    test("a subscription goes on behind each loss of its connection, and delivers each message once", async (t) => {
      const { feed, front, hub } = await rig(t, way);
      const { texts, take, until } = collector();
      const subscription = hub.subscribe(
        FeedService.method.follow,
        {},
        { message: ({ text }) => take(text) },
      );
      for (let round = 0; round < 4; round++) {
        for (let item = 0; item < 5; item++) feed.publish(`${round}.${item}`);
        await until(texts.length + 1);
        await front.kill();
        feed.publish(`${round}.away`);
        await front.start();
        await until((round + 1) * 6);
      }
      const expected = Array.from({ length: 4 }, (_, round) =>
        ["0", "1", "2", "3", "4", "away"].map((item) => `${round}.${item}`),
      ).flat();
      assert.deepEqual(texts, expected);
      if (way !== "poll") assert.equal(subscription.position, "24");
    });

    test("it can be iterated, and ends with its stream", async (t) => {
      const { feed, hub } = await rig(t, way);
      for (const text of ["a", "b", "c"]) feed.publish(text);
      const texts: string[] = [];
      const subscription = hub.subscribe(FeedService.method.follow, { count: 3 });
      for await (const { text } of subscription) texts.push(text);
      assert.deepEqual(texts, ["a", "b", "c"]);
      assert.deepEqual(subscription.state, { kind: "closed", error: undefined });
    });

    // Without a hub, tokens of polls are no positions.
    const begins = "it begins behind a position";
    if (way !== "poll")
      test(begins, async (t) => {
        const { feed, hub } = await rig(t, way);
        for (const text of ["a", "b", "c"]) feed.publish(text);
        const { texts, take, until } = collector();
        hub.subscribe(FeedService.method.follow, {}, { after: "2", message: ({ text }) => take(text) });
        await until(1);
        assert.deepEqual(texts, ["c"]);
      });

    test("nothing is delivered behind close(), also in a handler", async (t) => {
      const { feed, hub } = await rig(t, way);
      for (const text of ["a", "b", "c"]) feed.publish(text);
      const { texts, take } = collector();
      const closed = Promise.withResolvers<void>();
      const subscription = hub.subscribe(
        FeedService.method.follow,
        {},
        {
          message({ text }) {
            take(text);
            if (text === "b") subscription.close();
          },
          state: ({ kind }) => void (kind === "closed" && closed.resolve()),
        },
      );
      await closed.promise;
      feed.publish("d");
      await hub.call("tsms.test.v1.EchoService/Echo", {}).catch(() => {}); // What was to come has come.
      assert.deepEqual(texts, ["a", "b"]);
      if (way !== "poll") assert.equal(subscription.position, "2");
    });
  });
}

test("handlers take one message after the other; what one throws is told, and ends nothing", async (t) => {
  const { feed, hub, errors } = await rig(t, "sse");
  for (const text of ["a", "b", "c"]) feed.publish(text);
  const { texts, take, until } = collector();
  let running = 0;
  hub.subscribe(
    "tsms.test.v1.FeedService/Follow",
    {},
    {
      async message(message) {
        assert.equal(++running, 1);
        await new Promise(setImmediate);
        running--;
        take(String(message["text"]));
        if (message["text"] === "b") throw new Error("of the handler");
      },
    },
  );
  await until(3);
  assert.deepEqual(texts, ["a", "b", "c"]);
  assert.deepEqual(errors.map(String), ["Error: of the handler"]);
});

test("a stream pauses while 256 messages wait for their handler, and none is lost", async (t) => {
  const { feed, hub } = await rig(t, "sse");
  const gate = Promise.withResolvers<void>();
  const { texts, take, until } = collector();
  const all = Array.from({ length: 900 }, (_, index) => `${index} ${"x".repeat(1000)}`);
  for (const text of all) feed.publish(text);
  hub.subscribe(
    FeedService.method.follow,
    {},
    {
      async message({ text }) {
        await gate.promise;
        take(text);
      },
    },
  );
  const other = collector();
  hub.subscribe(FeedService.method.follow, {}, { message: ({ text }) => other.take(text) });
  await other.until(900); // The other one does not wait for it.
  gate.resolve();
  await until(900);
  assert.deepEqual(texts, all);
});

test("pause() holds messages back until resume()", async (t) => {
  const { feed, hub } = await rig(t, "sse");
  const { texts, take, until } = collector();
  const subscription = hub.subscribe(FeedService.method.follow, {}, { message: ({ text }) => take(text) });
  feed.publish("a");
  await until(1);
  subscription.pause();
  feed.publish("b");
  feed.publish("c");
  const other = collector();
  hub.subscribe(FeedService.method.follow, {}, { message: ({ text }) => other.take(text) });
  await other.until(3);
  assert.ok(texts.length <= 2, "one that had arrived may be delivered");
  subscription.resume();
  await until(3);
  assert.deepEqual(texts, ["a", "b", "c"]);
});
