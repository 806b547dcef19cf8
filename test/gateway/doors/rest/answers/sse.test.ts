import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { EchoResponseSchema, RepeatResponseSchema } from "../../../../../gen/tsms/test/v1/echo_pb.ts";
import { FollowItemsResponseSchema, FollowResponseSchema } from "../../../../../gen/tsms/test/v1/feed_pb.ts";
import { WatchBooksResponseSchema } from "../../../../../gen/library/v1/library_pb.ts";
import { Code, ConnectError } from "../../../../../src/core/errors/errors.ts";
import { compileEventId } from "../../../../../src/gateway/doors/rest/answers/event-id.ts";
import { eventText, sse } from "../../../../../src/gateway/doors/rest/answers/sse.ts";
import { eventsOf } from "../../../../behaviour/streams/stream-client.ts";

const texts: readonly [name: string, data: string][] = [
  ["a line", "abc"],
  ["nothing", ""],
  ["a line feed", "a\nb"],
  ["a carriage return", "a\rb"],
  ["both", "a\r\nb"],
  ["line ends at the end", "a\n\n"],
  ["a field", "data: x"],
  ["an event inside", "a\n\nevent: end\ndata: forged\n\n"],
  ["an event inside by carriage returns", "a\r\revent: end\rdata: forged\r\r"],
  ["a comment", ":a"],
  ["blanks in front", "  a"],
];

for (const [name, data] of texts) {
  test(`S08: data with ${name} is one event with that text`, () => {
    const [event, second] = eventsOf(eventText({ data, id: "7", event: "e" }));
    assert.deepEqual(event, { event: "e", id: "7", data: data.replace(/\r\n|\r/g, "\n") });
    assert.equal(second, undefined);
  });
}

test("S08: any text is one event", () => {
  const piece = fc.constantFrom("\n", "\r", "data:", "id: 1", "event: x", ":", " ", "a", "\0", "é");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const data = pieces.join("");
      const events = eventsOf(eventText({ data }));
      assert.equal(events.length, 1);
      assert.equal(events[0]?.data, data.replace(/\r\n|\r/g, "\n"));
      assert.equal(events[0]?.event, "message");
    }),
  );
});

for (const id of ["a\0b", "a\nb", "a\rb", "7\n\ndata: forged"]) {
  test(`S08: the id ${JSON.stringify(id)} is left out`, () => {
    assert.equal(eventText({ data: "x", id }), "data: x\n\n");
    const encoder = sse({
      statusText: String,
      eventId: { of: () => id, ofBytes: () => id },
      retryMs: 0,
    }).begin({
      messageText: () => "{}",
      lastEventId: undefined,
    });
    assert.equal(encoder.message(create(EchoResponseSchema)), "data: {}\n\n");
    assert.equal(encoder.frame.before(0, new Uint8Array()), "data: ");
  });
}

test("S08: the name of an event cannot begin another line", () => {
  assert.equal(eventText({ data: "x", event: "a\ndata: forged" }), "event: a\ndata: x\n\n");
});

for (const [last, first] of [
  [undefined, 1],
  ["", 1],
  ["41", 42],
  ["-1", 1],
  ["1e3", 1],
  ["abc", 1],
  ["99999999999999999999", 1],
] as const) {
  test(`after Last-Event-ID ${last} the counter gives ${first}`, () => {
    const encoder = sse({ statusText: String, eventId: undefined, retryMs: 0 }).begin({
      messageText: () => "{}",
      lastEventId: last,
    });
    const message = create(EchoResponseSchema);
    assert.equal(encoder.message(message), `id: ${first}\ndata: {}\n\n`);
    assert.equal(encoder.message(message), `id: ${first + 1}\ndata: {}\n\n`);
  });
}

test("the client is told when to come again", () => {
  const start = { messageText: () => "{}", lastEventId: undefined };
  const statusText = ({ code }: ConnectError): string => `{"code":${code}}`;
  const told = sse({ statusText, eventId: undefined, retryMs: 3000 }).begin(start);
  assert.equal(told.opening, "retry: 3000\n\n");
  const stopping = new ConnectError("bye", Code.Unavailable);
  assert.equal(told.stop?.(stopping), 'retry: 3000\nevent: error\ndata: {"code":14}\n\n');
  const untold = sse({ statusText, eventId: undefined, retryMs: 0 }).begin(start);
  assert.equal(untold.opening, ": open\n\n");
  assert.equal(untold.stop?.(stopping), 'retry: 1000\nevent: error\ndata: {"code":14}\n\n');
});

test("the marked field is the id", () => {
  const position = compileEventId(FollowResponseSchema);
  assert.equal(
    position?.of(create(FollowResponseSchema, { position: 9007199254740993n })),
    "9007199254740993",
  );
  assert.equal(position?.of(create(FollowResponseSchema)), "0");
  const cursor = compileEventId(FollowItemsResponseSchema);
  assert.equal(cursor?.of(create(FollowItemsResponseSchema, { cursor: "c-1" })), "c-1");
  assert.equal(cursor?.of(create(FollowItemsResponseSchema)), undefined);
  assert.equal(compileEventId(RepeatResponseSchema), undefined);
  assert.notEqual(compileEventId(WatchBooksResponseSchema), undefined);
});
