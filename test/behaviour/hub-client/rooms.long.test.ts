/** Rooms of a hub as pages have them: by every link, the same positions, over losses of the connection and of the server. */
import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { connectHub, type HubClient } from "../../../src/hub-client/connect-hub.ts";
import { KillableFront } from "../../support/killable-front.ts";
import { startKept } from "../hub/kept-rooms.ts";

const { followRooms, followState } = LiveService.method;
const backoff = { initialMs: 20, maxMs: 50 };
type Node = Awaited<ReturnType<typeof startKept>>;

/** The port of a link on a node. */
function portOf({ url, grpcAddress }: Node, way: string): number {
  return Number((way === "transport" ? grpcAddress : url).split(":").at(-1));
}

function connect(
  t: TestContext,
  way: "websocket" | "sse" | "poll" | "transport",
  address: string,
): HubClient {
  const onError = (error: unknown): void => assert.fail(String(error));
  let hub: HubClient;
  if (way === "transport") {
    const transport = dial(address);
    t.after(() => transport.close());
    hub = connectHub(transport, { backoff, onError });
  } else hub = connectHub(`http://${address}`, { transports: [way], backoff, onError });
  t.after(() => hub.close());
  return hub;
}

for (const way of ["websocket", "sse", "poll", "transport"] as const) {
  describe(`by ${way}`, () => {
    test("each publication comes once, in order, with its position, over losses of the connection", async (t) => {
      await using node = await startKept();
      const front = await new KillableFront(portOf(node, way)).start();
      t.after(() => front.kill());
      const hub = connect(t, way, front.address);
      const texts: string[] = [];
      const positions: (string | undefined)[] = [];
      let wake = (): void => {};
      const until = async (count: number): Promise<void> => {
        while (texts.length < count) await new Promise<void>((resolve) => (wake = resolve));
      };
      const joined = Promise.withResolvers<void>();
      const subscription = hub.subscribe(
        followRooms,
        { rooms: ["a"] },
        {
          message({ text }) {
            texts.push(text);
            positions.push(subscription.position);
            wake();
          },
          reset: (reset) => assert.fail(JSON.stringify(reset)),
          state: ({ kind }) => void (kind === "open" && joined.resolve()),
        },
      );
      await joined.promise;
      const published: string[] = [];
      for (let round = 0; round < 3; round++) {
        for (let item = 0; item < 4; item++) {
          const { position } = await node.kept.publish("a", { text: `${round}.${item}` });
          published.push(position ?? "");
        }
        await until(texts.length + 1);
        await front.kill();
        const { position } = await node.kept.publish("a", { text: `${round}.away` });
        published.push(position ?? "");
        await front.start();
        await until((round + 1) * 5);
      }
      assert.equal(texts.length, 15);
      assert.deepEqual(
        texts.map((text) => text.split(".")[1]),
        Array.from({ length: 3 }, () => ["0", "1", "2", "3", "away"]).flat(),
      );
      assert.ok(
        published.at(-1)?.endsWith(positions.at(-1) ?? "none"),
        `${published.at(-1)}, ${positions.at(-1)}`,
      );
    });

    test("a server that has forgotten the room is told as a reset, and the subscription goes on", async (t) => {
      let node: Node | undefined = await startKept();
      t.after(() => node?.[Symbol.asyncDispose]());
      const front = await new KillableFront(portOf(node, way)).start();
      t.after(() => front.kill());
      const hub = connect(t, way, front.address);
      const seen: string[] = [];
      let wake = (): void => {};
      const until = async (last: string): Promise<void> => {
        while (seen.at(-1) !== last) await new Promise<void>((resolve) => (wake = resolve));
      };
      const put = (text: string): void => {
        seen.push(text);
        wake();
      };
      const joined = Promise.withResolvers<void>();
      hub.subscribe(
        followRooms,
        { rooms: ["a"] },
        {
          message: ({ text }) => put(text),
          reset: ({ reason }) => put(reason),
          state: ({ kind }) => void (kind === "open" && joined.resolve()),
        },
      );
      await joined.promise;
      await node.kept.publish("a", { text: "before" });
      await until("before");
      await front.kill();
      await node[Symbol.asyncDispose]();
      node = await startKept();
      const again = await new KillableFront(portOf(node, way)).start();
      await again.kill();
      await using next = new KillableFront(portOf(node, way));
      next.port = front.port;
      await next.start();
      await until("UNKNOWN");
      await node.kept.publish("a", { text: "after" });
      await until("after");
      assert.deepEqual(seen, ["before", "UNKNOWN", "after"]);
    });

    test("the state of a room comes first", async (t) => {
      await using node = await startKept({
        state: {
          snapshot: async () => ["state 1", "state 2"].map((value) => ({ event: { case: "text", value } })),
        },
      });
      const hub = connect(t, way, `127.0.0.1:${portOf(node, way)}`);
      const seen: string[] = [];
      for await (const { event } of hub.subscribe(followState, { room: "a" })) {
        if (event.case === "text") seen.push(event.value);
        if (seen.length === 2) await node.state.publish("a", { event: { case: "text", value: "live" } });
        if (seen.length === 3) break;
      }
      assert.deepEqual(seen, ["state 1", "state 2", "live"]);
    });
  });
}
