/** Topics whose rpc is a bidirectional stream: the first message names the room, those behind it are `onMessage`'s. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import {
  type ConverseRequest,
  ConverseRequestSchema,
  type ConverseResponse,
  TalkService,
} from "../../../gen/tsms/test/v1/talk_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { RpcTopicInit } from "../../../src/hub/topic-options.ts";
import type { RpcTopic } from "../../../src/hub/typed-topic.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { members } from "./topic-servers.ts";

const { converse } = TalkService.method;
type Init = RpcTopicInit<typeof converse>;

async function startTalks(init: (publish: (room: string, text: string) => Promise<unknown>) => Init) {
  const hub = new Hub();
  const talks: RpcTopic<typeof converse> = hub.topic(
    converse,
    init((room, text) => talks.publish(room, { text })),
  );
  const grpc = new GrpcServer({ port: 0, hub, logger: false });
  grpc.addService({ descriptor: TalkService, converse: talks.serve });
  const http = new HttpServer({ port: 0, upstream: grpc, logger: false });
  http.addService(TalkService);
  await grpc.start();
  await http.start();
  const transport = dial(`127.0.0.1:${grpc.address?.port}`);
  const client = createClient(TalkService, transport);
  /** What a call with these requests is told. */
  const read = async function* (
    requests: AsyncIterable<ConverseRequest>,
  ): AsyncGenerator<ConverseResponse, void> {
    yield* client.converse(requests);
  };
  return {
    hub,
    read,
    socketUrl: `ws://127.0.0.1:${http.address?.port}/ws`,
    async [Symbol.asyncDispose]() {
      transport.close();
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

/** Requests that are sent when they are said; without an end, until `close`. */
function sayings(room: string) {
  const waiting = [create(ConverseRequestSchema, { room })];
  let wake = Promise.withResolvers<void>();
  let isOver = false;
  return {
    say(text: string) {
      waiting.push(create(ConverseRequestSchema, { text }));
      wake.resolve();
    },
    close() {
      isOver = true;
      wake.resolve();
    },
    async *[Symbol.asyncIterator]() {
      for (;;) {
        yield* waiting.splice(0);
        if (isOver) return;
        await wake.promise;
        wake = Promise.withResolvers();
      }
    },
  };
}

const codeOf = (code: Code) => (error: unknown) => ConnectError.from(error).code === code;

test("what a member says behind its first message is its topic's, one after the other, and it reads meanwhile", async () => {
  let underWay = 0;
  await using servers = await startTalks((publish) => ({
    async onMessage({ text }, { rooms, context, connection }) {
      assert.equal(++underWay, 1, "one at a time");
      assert.deepEqual(rooms, ["talk/lobby"]);
      assert.ok(connection !== "" && context.method.name === "Converse");
      await publish("lobby", text);
      underWay--;
    },
  }));
  const { read, hub, socketUrl } = servers;
  const said = sayings("lobby");
  const replies = read(said);
  const first = replies.next();
  const socket = await new SocketClient(socketUrl).open();
  const method = "tsms.test.v1.TalkService/Converse";
  socket.send(JSON.stringify({ id: 1, method, message: { room: "lobby" } }));
  await members(hub, 2);
  for (const text of ["a", "b", "c"]) said.say(text);
  const got = [await first, await replies.next(), await replies.next()];
  assert.deepEqual(
    got.map(({ value }) => value?.text),
    ["a", "b", "c"],
  );
  said.close();
  socket.send(JSON.stringify({ id: 1, message: { text: "d" } }));
  assert.equal((await replies.next()).value?.text, "d", "who says nothing more stays a member");
  for (const text of ["a", "b", "c", "d"])
    assert.equal(((await socket.json())["message"] as { text: string }).text, text);
  socket.send(JSON.stringify({ id: 1, cancel: true }));
  await members(hub, 1);
});

test("messages that came with the first one wait until the call may join; a refused call says nothing", async () => {
  const heard: string[] = [];
  const asked = Promise.withResolvers<void>();
  const decided = Promise.withResolvers<void>();
  await using servers = await startTalks(() => ({
    async authorize({ room, request }) {
      assert.equal(request?.room, room);
      asked.resolve();
      await decided.promise;
      if (room === "closed") throw new ConnectError("not your room", Code.PermissionDenied);
    },
    onMessage: ({ text }) => void heard.push(text),
  }));
  const { read, hub } = servers;
  const [open, closed] = [sayings("open"), sayings("closed")];
  for (const one of [open, closed]) one.say("early");
  const refused = read(closed).next();
  const reading = read(open);
  void reading.next().catch(() => {});
  await asked.promise;
  assert.deepEqual(heard, []);
  decided.resolve();
  await assert.rejects(refused, codeOf(Code.PermissionDenied));
  await members(hub, 1);
  while (heard.length === 0) await new Promise(setImmediate);
  assert.deepEqual(heard, ["early"]);
});

test("rule 26: what onMessage throws ends its call alone", async () => {
  await using servers = await startTalks((publish) => ({
    async onMessage({ text }) {
      if (text === "bad") throw new ConnectError("not so", Code.InvalidArgument);
      if (text === "broken") throw new Error("a fault");
      await publish("r", text);
    },
  }));
  const { read, hub } = servers;
  const [good, bad, broken] = [sayings("r"), sayings("r"), sayings("r")];
  const [reading, ...others] = [good, bad, broken].map((one) => read(one).next());
  await members(hub, 3);
  bad.say("bad");
  broken.say("broken");
  await assert.rejects(others[0] ?? assert.fail(), codeOf(Code.InvalidArgument));
  await assert.rejects(others[1] ?? assert.fail(), codeOf(Code.Internal));
  await members(hub, 1);
  good.say("fine");
  assert.equal((await reading)?.value?.text, "fine");
});

test("onMessage of a server stream is refused", () => {
  const wrong = () => new Hub().topic(LiveService.method.watchRoom, { onMessage: () => {} });
  assert.throws(wrong, /LiveService\/WatchRoom: onMessage is for bidirectional streams/);
});

test("a call without a message, and a second message where none is taken, are INVALID_ARGUMENT", async () => {
  await using servers = await startTalks(() => ({}));
  const { read } = servers;
  const none = read((async function* () {})()).next();
  await assert.rejects(none, codeOf(Code.InvalidArgument));
  const said = sayings("r");
  said.say("more");
  await assert.rejects(read(said).next(), codeOf(Code.InvalidArgument));
});
