import { strict as assert } from "node:assert";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { fromBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema } from "../../../../gen/tsms/test/v1/echo_pb.ts";
import { echoFrame, post, running, session, type RawReply } from "../../../support/running-grpc.ts";

const large = "word ".repeat(1000);
const accept = { "grpc-accept-encoding": "identity,deflate, gzip" };

function messageOf({ body }: RawReply): { flag: number; text: string } {
  const flag = body.readUInt8(0);
  const bytes = body.subarray(5, 5 + body.readUInt32BE(1));
  return { flag, text: fromBinary(EchoResponseSchema, flag === 1 ? gunzipSync(bytes) : bytes).text };
}

test("replies are compressed for clients that read gzip", async (t) => {
  const http2 = session(t, await running(t, { compressReplies: true }));
  const reply = await post(http2, accept, [echoFrame({ text: large })]);
  assert.equal(reply.headers["grpc-encoding"], "gzip");
  assert.deepEqual(messageOf(reply), { flag: 1, text: large });
  assert.ok(reply.body.length < 500);
  assert.equal(reply.status, 0);
});

test("small replies and other clients get plain ones", async (t) => {
  const http2 = session(t, await running(t, { compressReplies: true }));
  const small = await post(http2, accept, [echoFrame({ text: "small" })]);
  assert.deepEqual(messageOf(small), { flag: 0, text: "small" });
  for (const headers of [{}, { "grpc-accept-encoding": "identity,br" }]) {
    const plain = await post(http2, headers, [echoFrame({ text: large })]);
    assert.equal(plain.headers["grpc-encoding"], "identity");
    assert.deepEqual(messageOf(plain), { flag: 0, text: large });
  }
});

test("replies are not compressed unless asked for", async (t) => {
  const reply = await post(session(t, await running(t)), accept, [echoFrame({ text: large })]);
  assert.deepEqual(messageOf(reply), { flag: 0, text: large });
});

test("streams are compressed too, in order", async (t) => {
  const server = await running(t, { compressReplies: true, compressionThresholdBytes: 10 });
  const indexes: number[] = [];
  for await (const reply of server.client.repeat({ count: 50, text: large })) {
    assert.equal(reply.text, large);
    indexes.push(reply.index);
  }
  assert.deepEqual(indexes, [...Array(50).keys()]);
});
