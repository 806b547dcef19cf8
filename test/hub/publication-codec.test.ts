import assert from "node:assert/strict";
import { test } from "node:test";
import { toJsonString } from "@bufbuild/protobuf";
import { FollowRoomsResponseSchema } from "../../gen/tsms/test/v1/live_pb.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { formOf, publication } from "./bus/bus-contract.ts";

test("a publication is read as it was written, and lives as long as it was to live", () => {
  const clock = new VirtualClock();
  const selector = { except: { users: ["bob"] } };
  const written = publication("p1", {
    headers: { lang: "de" },
    key: "k",
    priority: "low",
    ttlMs: 500,
    selector,
    event: "line",
  });
  const bytes = formOf("first", clock).write("chat", written, 7);
  clock.advance(200);
  const read = formOf("second", clock).read("chat", bytes);
  assert.ok(read !== undefined);
  const { message, to, bytes: size, ...rest } = read.publication;
  const { message: before, to: _, bytes: __, ...expected } = written;
  assert.deepEqual(rest, expected);
  assert.deepEqual(
    [message.$typeName, toJsonString(FollowRoomsResponseSchema, message as never)],
    [before.$typeName, toJsonString(FollowRoomsResponseSchema, before as never)],
  );
  assert.ok(to !== undefined && size > 0);
  assert.deepEqual([read.node, read.number, read.untilMs], ["first", 7, clock.nowMs() + 300]);
});

test("what is broken, or of a topic that is not there, is no publication", () => {
  const form = formOf("first", new VirtualClock());
  const bytes = form.write("chat", publication("p"), 1);
  assert.equal(form.read("other", bytes), undefined);
  assert.equal(form.read("chat", bytes.subarray(0, bytes.length - 3)), undefined);
  assert.equal(form.read("chat", Buffer.from("no record")), undefined);
});
