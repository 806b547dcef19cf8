import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { FollowRoomsResponseSchema } from "../../../gen/tsms/test/v1/live_pb.ts";
import type { Clock } from "../../../src/core/time/clock.ts";
import type { Bus, BusNode, BusPublication, PublicationForm } from "../../../src/hub/bus/bus.ts";
import { PublicationCodec } from "../../../src/hub/publication-codec.ts";
import { formatPosition } from "../../../src/hub/room/position.ts";
import type { Publication } from "../../../src/hub/room/publication.ts";
import { shapeOfType } from "../../../src/hub/topic-shape.ts";

/** Two nodes of one hub and one of another, on buses that meet. */
export interface Meeting {
  /** Name of the hub of the first two. */
  readonly hub: string;
  readonly clock: Clock;
  /** Lets a time pass, in milliseconds. */
  readonly pass: (ms: number) => Promise<void>;
  readonly first: Bus;
  readonly second: Bus;
  readonly other: Bus;
}

const history = { size: 5, ttlMs: 1_000, bytes: 1_000 };
const { signal } = new AbortController();

export function publication(id: string, more: Partial<Publication> = {}): Publication {
  return {
    id,
    message: create(FollowRoomsResponseSchema, { text: id.padEnd(8) }),
    headers: {},
    bytes: 10,
    key: undefined,
    priority: "normal",
    ttlMs: undefined,
    to: undefined,
    selector: undefined,
    notTo: undefined,
    event: undefined,
    encoded: undefined,
    delivered: undefined,
    ...more,
  };
}

/** The form of publications of the topic `chat`. */
export function formOf(node: string, clock: Clock): PublicationForm {
  const shape = shapeOfType("chat", FollowRoomsResponseSchema);
  return new PublicationCodec({
    shapeOf: (topic) => (topic === "chat" ? shape : undefined),
    entryOf: () => undefined,
    scope: { node, hasTopic: () => true },
    clock,
    wallMs: () => clock.nowMs(),
    encoded: () => {},
  });
}

/** Starts the buses. @returns what each node was told */
async function start({ hub, clock, first, second, other }: Meeting) {
  const told = { first: [] as string[], second: [] as string[], other: [] as string[] };
  const node = (id: keyof typeof told, name: string): BusNode => ({
    name,
    id,
    clock,
    form: formOf(id, clock),
    published: (room, { publication: { id: message }, position }) =>
      told[id].push(`${room} ${message}${position === undefined ? "" : ` ${position.offset}`}`),
    begun: (room, { offset }, why) => told[id].push(`${room} begun ${offset} ${why}`),
    frame: (bytes) => told[id].push(`frame ${Buffer.from(bytes).toString()}`),
    busIs: () => {},
  });
  for (const bus of [first, second, other]) bus.keep?.("chat", { history, dedupeMs: 500 });
  await first.start(node("first", hub));
  await second.start(node("second", hub));
  await other.start(node("other", `${hub}-other`));
  return told;
}

/** What a node is told by another one comes a moment later. */
async function eventually(check: () => void): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return check();
    } catch (reason) {
      if (attempt === 500) throw reason;
    }
    await pause(10);
  }
}

/** What every bus has to do. @param meet buses that no other test has */
export function testBus(name: string, meet: () => Promise<Meeting> | Meeting): void {
  const say = (id: string, more: Partial<BusPublication> = {}): BusPublication => ({
    room: "chat/a",
    publication: publication(id),
    history,
    dedupeMs: 0,
    ...more,
  });

  test(`${name}: a publication is numbered, kept, and told to the nodes of its room in order`, async () => {
    const meeting = await meet();
    const { first, second, other } = meeting;
    const told = await start(meeting);
    await Promise.all([first, second, other].map((bus) => bus.subscribe(["chat/a"])));
    const receipts = await Promise.all(["1", "2", "3"].map((id) => first.publish(say(id), signal)));
    assert.deepEqual(
      receipts.map(({ position, duplicate }) => [position?.offset, duplicate]),
      [
        [1, false],
        [2, false],
        [3, false],
      ],
    );
    await first.publish(say("b", { room: "chat/b" }), signal);
    await second.publish(say("live", { history: undefined }), signal);
    const all = ["chat/a 1 1", "chat/a 2 2", "chat/a 3 3", "chat/a live"];
    await eventually(() => assert.deepEqual(told, { first: all, second: all, other: [] }));
    await second.unsubscribe(["chat/a"]);
    const { position } = await first.publish(say("4"), signal);
    await eventually(() =>
      assert.deepEqual(
        [told.first.at(-1), told.second.at(-1)],
        [`chat/a 4 ${position?.offset}`, "chat/a live"],
      ),
    );
  });

  test(`${name}: an id that is known is told once, and has its first position`, async () => {
    const meeting = await meet();
    const { first, second, pass } = meeting;
    const told = await start(meeting);
    await second.subscribe(["chat/a"]);
    const once = await first.publish(say("x", { dedupeMs: 500 }), signal);
    const again = await second.publish(say("x", { dedupeMs: 500 }), signal);
    assert.deepEqual([again.duplicate, again.position], [true, once.position]);
    await eventually(() => assert.deepEqual(told.second, ["chat/a x 1"]));
    await pass(501);
    assert.equal((await first.publish(say("x", { dedupeMs: 500 }), signal)).duplicate, false);
  });

  test(`${name}: publications of one turn, kept and not, stay in their order; a known id among them is told once`, async () => {
    const meeting = await meet();
    const { first, second } = meeting;
    const told = await start(meeting);
    await second.subscribe(["chat/a"]);
    const large = create(FollowRoomsResponseSchema, { text: "x".repeat(300_000) });
    const kept = Array.from({ length: 150 }, (_, place) => say(`k${place}`, { dedupeMs: 500 }));
    const all = [
      ...kept.slice(0, 70),
      say("live", { history: undefined }),
      ...kept.slice(70),
      say("k3", { dedupeMs: 500 }),
      say("last", { publication: publication("last", { message: large }) }),
    ];
    const receipts = await Promise.all(all.map((one) => first.publish(one, signal)));
    const again = receipts[151];
    assert.deepEqual([again?.duplicate, again?.position], [true, receipts[3]?.position]);
    assert.deepEqual(
      receipts.filter(({ duplicate }) => !duplicate).flatMap(({ position }) => position?.offset ?? []),
      Array.from({ length: 151 }, (_, place) => place + 1),
    );
    const texts = Array.from({ length: 150 }, (_, place) => `chat/a k${place} ${place + 1}`);
    texts.splice(70, 0, "chat/a live");
    await eventually(() => assert.deepEqual(told.second, [...texts, "chat/a last 151"]));
  });

  test(`${name}: what was kept is read behind a position, as far as size, bytes and time keep it`, async () => {
    const meeting = await meet();
    const { first, second, pass } = meeting;
    await start(meeting);
    const empty = await second.read("chat/a", undefined, 10);
    assert.deepEqual([empty.entries, empty.top.offset, empty.complete], [[], 0, true]);
    for (let i = 1; i <= 7; i++) await first.publish(say(`${i}`), signal);
    const { epoch } = empty.top;
    const read = async (offset: number | undefined, limit = 10) => {
      const after = offset === undefined ? undefined : { epoch, offset };
      const { entries, top, complete } = await second.read("chat/a", after, limit);
      return { got: entries.map(({ publication: { id } }) => id).join(""), top: top.offset, complete };
    };
    assert.deepEqual(await read(undefined), { got: "34567", top: 7, complete: true });
    assert.deepEqual(await read(2), { got: "34567", top: 7, complete: true });
    assert.deepEqual(await read(1), { got: "34567", top: 7, complete: false });
    assert.deepEqual(await read(4, 2), { got: "56", top: 7, complete: true });
    assert.deepEqual(await read(7), { got: "", top: 7, complete: true });
    assert.deepEqual(await read(8), { got: "", top: 7, complete: false });
    const foreign = await second.read("chat/a", { epoch: "zzzzzzzz", offset: 1 }, 10);
    assert.deepEqual([foreign.entries, foreign.complete], [[], false]);
    const large = create(FollowRoomsResponseSchema, { text: "x".repeat(982) });
    await first.publish(say("8", { publication: publication("8", { bytes: 985, message: large }) }), signal);
    assert.deepEqual(await read(undefined), { got: "78", top: 8, complete: true });
    assert.deepEqual(await read(6), { got: "78", top: 8, complete: true });
    assert.deepEqual(await read(5, 1), { got: "7", top: 8, complete: false });
    await pass(600);
    await first.publish(say("9"), signal);
    await pass(600);
    assert.deepEqual(await read(undefined), { got: "9", top: 9, complete: true });
    await pass(600);
    assert.deepEqual(await read(9), { got: "", top: 9, complete: true });
    assert.deepEqual(await read(8), { got: "", top: 9, complete: false });
    assert.deepEqual((await second.tops([{ room: "chat/a", seen: undefined }])).map(formatPosition), [
      `${epoch}.9`,
    ]);
  });

  test(`${name}: a room that is cleared begins another epoch, and its nodes are told`, async () => {
    const meeting = await meet();
    const { first, second } = meeting;
    const told = await start(meeting);
    await second.subscribe(["chat/a"]);
    const before = await first.publish(say("1"), signal);
    await first.clear("chat/a");
    const after = await first.publish(say("2"), signal);
    await eventually(() => assert.equal(told.second.length, 3));
    const [one, begun, two] = told.second;
    assert.deepEqual([one, two], ["chat/a 1 1", `chat/a 2 ${after.position?.offset}`]);
    assert.match(begun ?? "", /^chat\/a begun \d CLEARED$/);
    assert.notEqual(after.position?.epoch, before.position?.epoch);
    assert.equal((await first.read("chat/a", before.position, 10)).complete, false);
  });

  test(`${name}: frames reach a node or all of them, cursors are kept, and a closed bus is UNAVAILABLE`, async () => {
    const meeting = await meet();
    const { first, second, other, pass } = meeting;
    const told = await start(meeting);
    await first.cast("second", Buffer.from("one"));
    await first.cast("all", Buffer.from("all"));
    await eventually(() =>
      assert.deepEqual(told, { first: ["frame all"], second: ["frame one", "frame all"], other: [] }),
    );
    assert.equal(await first.cursor("k"), undefined);
    await first.cursor("k", { epoch: "abcdefgh", offset: 4 });
    assert.deepEqual(await second.cursor("k"), { epoch: "abcdefgh", offset: 4 });
    assert.equal(await other.cursor("k"), undefined);
    await first.cursor("short", { epoch: "abcdefgh", offset: 4 }, 500);
    await pass(501);
    assert.equal(await second.cursor("short"), undefined);
    await first.close();
    await assert.rejects(first.publish(say("1"), signal), { code: 14 });
    await assert.rejects(first.read("chat/a", undefined, 1), { code: 14 });
    await Promise.all([second.close(), other.close()]);
  });
}
