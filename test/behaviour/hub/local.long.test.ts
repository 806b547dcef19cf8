/** Rule 44, `whenBusDown: "local"`: a node goes on by itself while Redis is killed, and what follows when it is back. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Code } from "../../../src/core/errors/errors.ts";
import { redisBus } from "../../../src/hub/bus/redis/redis-bus.ts";
import { failure } from "../../support/failure.ts";
import { RedisServer } from "../../support/redis-server.ts";
import { startKept } from "./kept-rooms.ts";
import { StateWatcher } from "./state-watcher.ts";

type Node = Awaited<ReturnType<typeof startKept>>;

let server: RedisServer;
before(async () => {
  server = await RedisServer.start(true);
});
after(() => server.stop());

let number = 0;

/** Nodes of one hub. */
async function nodes(whenBusDown: "reject" | "local"): Promise<readonly [Node, Node]> {
  const name = `local-${++number}`;
  const node = (): Promise<Node> =>
    startKept({
      hub: { bus: redisBus({ url: server.url }), name, whenBusDown, checkMs: 1_000, probeMs: 1_000 },
    });
  const both = [await node(), await node()] as const;
  await busIs(true, both);
  return both;
}

async function busIs(isUp: boolean, all: readonly Node[]): Promise<void> {
  for (const { hub } of all) while ((await hub.statistics()).busUp !== isUp) await pause(10);
}

const say = ({ state }: Node, room: string, value: string, id?: string) =>
  state.publish(room, { event: { case: "text", value } }, id === undefined ? {} : { id });

/** Waits for a text, and gives everything from a text on that was there before. */
async function gotSince(watcher: StateWatcher, first: string, last: string): Promise<readonly string[]> {
  await watcher.has(last);
  return watcher.got.slice(watcher.got.indexOf(first));
}

for (const isEmpty of [false, true]) {
  const back = isEmpty ? "empty" : "with what it had";
  test(`rule 44: local publications and joins go on, and members are reset once when Redis is back ${back}`, async () => {
    const [here, there] = await nodes("local");
    await using _here = here;
    await using _there = there;
    const [mine, other] = [new StateWatcher(here, "r"), new StateWatcher(there, "r")];
    const calm = new StateWatcher(here, "calm");
    assert.deepEqual(await Promise.all([mine, other, calm].map(({ settled }) => settled)), [
      "joined",
      "joined",
      "joined",
    ]);
    await say(here, "calm", "zero");
    const { position } = await say(there, "r", "one");
    assert.ok(position !== undefined);
    await Promise.all([mine.has("one"), other.has("one"), calm.has("zero")]);
    await server.kill();
    await busIs(false, [here, there]);
    const local = await say(here, "r", "here", "once");
    assert.deepEqual([local.position, local.members, local.sent], [undefined, 1, 1]);
    assert.equal((await say(here, "r", "here", "once")).duplicate, true);
    assert.equal((await say(here, "nowhere", "x")).members, 0);
    await mine.has("here");
    const late = new StateWatcher(here, "late");
    assert.equal(await late.settled, "joined");
    await say(here, "late", "first");
    await late.has("first");
    const { code } = await failure(here.state.position("unknown"));
    assert.equal(code, Code.Unavailable);
    if (isEmpty) server.empty();
    await server.restart();
    await busIs(true, [here, there]);
    await mine.has("reset");
    await late.has("reset");
    const next = await say(there, "r", "two");
    assert.ok(next.position !== undefined);
    assert.deepEqual(await gotSince(mine, "one", "two"), ["one", "here", "reset", "two"]);
    await say(there, "late", "second");
    assert.deepEqual(await gotSince(late, "first", "second"), ["first", "reset", "second"]);
    await say(there, "calm", "three");
    const reset = isEmpty ? ["reset"] : [];
    assert.deepEqual(await gotSince(calm, "zero", "three"), ["zero", ...reset, "three"]);
    assert.deepEqual(await gotSince(other, "one", "two"), ["one", ...reset, "two"]);
    for (const watcher of [mine, other, calm, late]) watcher.leave();
  });
}

test("rule 44: what other nodes have published while a node was alone comes behind its reset", async () => {
  const [here, there] = await nodes("local");
  await using _here = here;
  await using _there = there;
  const mine = new StateWatcher(here, "r");
  await mine.settled;
  await say(there, "r", "one");
  await mine.has("one");
  await server.kill();
  await busIs(false, [here, there]);
  await say(here, "r", "here");
  await server.restart();
  await busIs(true, [there]);
  for (const text of ["a", "b", "c"]) await say(there, "r", text);
  assert.deepEqual(await gotSince(mine, "one", "c"), ["one", "here", "reset", "a", "b", "c"]);
  mine.leave();
});

test("rule 44: by default joins and publications are refused while Redis is away", async () => {
  const [here, there] = await nodes("reject");
  await using _here = here;
  await using _there = there;
  const mine = new StateWatcher(here, "r");
  await mine.settled;
  await server.kill();
  await busIs(false, [here]);
  assert.equal((await failure(say(here, "r", "x"))).code, Code.Unavailable);
  const refused = new StateWatcher(here, "s");
  assert.equal(await refused.settled, "refused");
  assert.deepEqual(mine.got, []);
  await server.restart();
  mine.leave();
});
