import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type Message } from "@bufbuild/protobuf";
import { EchoRequestSchema } from "../../../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../../../src/core/errors/errors.ts";
import { MessageQueue } from "../../../../src/gateway/doors/websocket/message-queue.ts";

const message = (text: string): Message => create(EchoRequestSchema, { text });
const done = { done: true, value: undefined };

function queue(): { queue: MessageQueue; signals: string[] } {
  const signals: string[] = [];
  const made = new MessageQueue({ pause: () => signals.push("pause"), resume: () => signals.push("resume") });
  return { queue: made, signals };
}

test("messages come out in order, whoever is first", async () => {
  const { queue: messages } = queue();
  const [a, b, c] = [message("a"), message("b"), message("c")];
  const early = [messages.next(), messages.next()];
  messages.push(a, 1);
  messages.push(b, 1);
  messages.push(c, 1);
  messages.end();
  assert.deepEqual(
    (await Promise.all(early)).map(({ value }) => value),
    [a, b],
  );
  assert.equal((await messages.next()).value, c);
  assert.deepEqual(await messages.next(), done);
});

test("a full queue pauses its source once, and resumes it when half of it was read", async () => {
  const { queue: messages, signals } = queue();
  for (let i = 0; i < 8; i++) messages.push(message("x"), 10_000);
  assert.deepEqual(signals, ["pause"]);
  for (let i = 0; i < 4; i++) await messages.next();
  assert.deepEqual(signals, ["pause"]);
  await messages.next();
  assert.deepEqual(signals, ["pause", "resume"]);
  assert.equal(messages.waitingBytes, 3 * 10_064);
});

test("empty messages count too", () => {
  const { queue: messages, signals } = queue();
  for (let i = 0; i < 1024; i++) messages.push(message(""), 0);
  assert.deepEqual(signals, ["pause"]);
});

test("an error takes the place of what waits; a good end does not", async () => {
  const { queue: failed, signals } = queue();
  failed.push(message("a"), 70_000);
  const error = new ConnectError("x", Code.Canceled);
  failed.end(error);
  failed.end();
  await assert.rejects(failed.next(), error);
  await assert.rejects(failed.next(), error);
  assert.deepEqual(signals, ["pause", "resume"]);
  const { queue: waiting } = queue();
  const reader = waiting.next();
  waiting.end(error);
  await assert.rejects(reader, error);
});

test("a handler that wants no more is never full", async () => {
  const { queue: messages, signals } = queue();
  messages.push(message("a"), 70_000);
  await messages.return();
  messages.push(message("b"), 70_000);
  assert.deepEqual(signals, ["pause", "resume"]);
  assert.equal(messages.waitingBytes, 0);
  assert.deepEqual(await messages.next(), done);
});
