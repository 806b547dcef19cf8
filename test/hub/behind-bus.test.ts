/** Clients that come from a node that has more of a room than theirs, or another epoch of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FollowStateResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { MemoryStore, memoryBus } from "../../src/hub/bus/memory-bus.ts";
import { Hub } from "../../src/hub/hub.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { madeMember, settle } from "./made-member.ts";

const history = { size: 20, ttlMs: 60_000 };

/** Two nodes; what the bus says to the second one can be held back. */
function startNodes() {
  const store = new MemoryStore();
  const clock = new VirtualClock();
  const held: (() => void)[] = [];
  let isHeld = false;
  const laterOrNow = (work: () => void): void => {
    if (isHeld) held.push(work);
    else work();
  };
  const bus = memoryBus(store);
  const start = bus.start.bind(bus);
  const late = Object.assign(bus, {
    start: (node: Parameters<typeof start>[0]) =>
      start({
        ...node,
        published: (...told) => laterOrNow(() => node.published(...told)),
        begun: (...told) => laterOrNow(() => node.begun(...told)),
      }),
  });
  const first = new Hub({ bus: memoryBus(store) }, { clock });
  const second = new Hub({ bus: late }, { clock });
  const [own, other] = [first, second].map((hub) => hub.topic("t", FollowStateResponseSchema, { history }));
  assert.ok(own !== undefined && other !== undefined);
  return {
    clock,
    own,
    other,
    second,
    hold: () => void (isHeld = true),
    release() {
      isHeld = false;
      for (const work of held.splice(0)) work();
    },
  };
}

type Nodes = ReturnType<typeof startNodes>;

/** Publishes on the first node. @returns the position of the last one */
async function publish({ own }: Nodes, ...texts: readonly string[]): Promise<string> {
  let last = "";
  for (const value of texts) {
    const { position = "" } = await own.publish("a", { event: { case: "text", value } });
    last = position;
  }
  return last;
}

/** A room that the second node knows up to its second publication. */
async function startBehind() {
  const nodes = startNodes();
  await madeMember(nodes.second, nodes.other, "a");
  await publish(nodes, "1", "2");
  nodes.hold();
  return nodes;
}

test("rule 13: a client that has more than its node waits for the node, and is not reset", async () => {
  const nodes = await startBehind();
  const after = await publish(nodes, "3", "4");
  const coming = madeMember(nodes.second, nodes.other, "a", { after });
  await settle();
  nodes.release();
  const member = await coming;
  await settle();
  assert.equal(member.header("ts-ms-resume"), "recovered");
  await publish(nodes, "5");
  assert.deepEqual((await member.next()).event, { case: "text", value: "5" }, "none of those before again");
});

test("a client that was told of a new epoch waits until its node is, and is not reset once more", async () => {
  const nodes = await startBehind();
  await nodes.own.clear("a");
  const after = await publish(nodes, "new");
  const coming = madeMember(nodes.second, nodes.other, "a", { after });
  await settle();
  nodes.release();
  const member = await coming;
  await settle();
  assert.equal(member.header("ts-ms-resume"), "recovered");
  await publish(nodes, "5");
  assert.deepEqual((await member.next()).event, { case: "text", value: "5" });
});

test("a client whose position is of no epoch is reset once where its room is about to begin anew", async () => {
  const nodes = await startBehind();
  await nodes.own.clear("a");
  const coming = madeMember(nodes.second, nodes.other, "a", { after: "zzzzzzzz.7" });
  await settle();
  nodes.release();
  const member = await coming;
  await settle();
  assert.equal(member.header("ts-ms-resume"), "reset");
  await publish(nodes, "5");
  const events = [(await member.next()).event.case, (await member.next()).event];
  assert.deepEqual(events, ["reset", { case: "text", value: "5" }]);
});

test("a node that stays behind its bus resets the client within a second", async () => {
  const nodes = await startBehind();
  const after = await publish(nodes, "3");
  const member = await madeMember(nodes.second, nodes.other, "a", { after });
  assert.equal(member.header("ts-ms-resume"), null);
  nodes.clock.advance(1_000);
  await settle();
  assert.equal(member.header("ts-ms-resume"), "reset");
});
