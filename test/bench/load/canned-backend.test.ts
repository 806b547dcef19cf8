import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { test, type TestContext } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FindRequestSchema } from "../../../gen/tsms/test/v1/bench_pb.ts";
import { listBooks, storeBooks } from "../../../bench/large-works.ts";
import { startCannedBackend } from "../../../bench/load/canned-backend.ts";
import { grpcBytes, type GrpcWork } from "../../../bench/load/grpc-work.ts";
import { grpcMessage } from "../../../bench/load/http2-frames.ts";
import { followBooks, grpcFollow, sendParcels } from "../../../bench/stream-works.ts";
import { grpcFind } from "../../../bench/works.ts";

/** A client of Node's own, whose windows are the protocol's 64 kB unless told otherwise. */
async function clientOf(t: TestContext, works: readonly GrpcWork[], initialWindowSize?: number) {
  const backend = await startCannedBackend(works);
  const settings = initialWindowSize === undefined ? {} : { initialWindowSize };
  const session = connect(`http://127.0.0.1:${backend.port}`, { settings });
  session.on("error", () => {});
  t.after(() => {
    session.destroy();
    backend.close();
  });
  await once(session, "connect");
  /** Resolves with the reply's bytes; undefined where the call breaks. */
  return async (request: Buffer): Promise<Buffer | undefined> => {
    const stream = session.request({ ":method": "POST", ":path": "/", "content-type": "application/grpc" });
    const chunks: Buffer[] = [];
    let status: unknown;
    stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => {});
    stream.end(request);
    await once(stream, "close");
    return String(status) === "0" ? Buffer.concat(chunks) : undefined;
  };
}

test("canned backend: large replies wait for the client's window", { timeout: 30_000 }, async (t) => {
  const call = await clientOf(t, [listBooks.grpc]);
  const replies = await Promise.all(
    Array.from({ length: 100 }, () => call(grpcBytes(listBooks.grpc.request))),
  );
  for (const reply of replies) assert.deepEqual(reply, grpcBytes(listBooks.grpc.answer));
});

test("canned backend: large requests come in pieces", { timeout: 30_000 }, async (t) => {
  const call = await clientOf(t, [storeBooks.grpc]);
  const { request, answer } = storeBooks.grpc;
  const replies = await Promise.all(Array.from({ length: 100 }, () => call(grpcBytes(request))));
  for (const reply of replies) assert.deepEqual(reply, grpcBytes(answer));
});

test(
  "canned backend: streams of replies wait for the windows of stream and connection",
  {
    timeout: 30_000,
  },
  async (t) => {
    const [books, parcels] = [followBooks().grpc, grpcFollow(20_000)];
    const call = await clientOf(t, [books, parcels]);
    const all = [books, parcels, books, parcels];
    const replies = await Promise.all(all.map(({ request }) => call(grpcBytes(request))));
    replies.forEach((reply, index) => assert.ok(reply?.equals(grpcBytes(all[index]?.answer ?? []))));
  },
);

test("canned backend: streams of requests are one request", { timeout: 30_000 }, async (t) => {
  const { grpc } = sendParcels();
  const call = await clientOf(t, [grpc]);
  assert.deepEqual(await call(grpcBytes(grpc.request)), grpcBytes(grpc.answer));
  const [first = Buffer.alloc(0), ...rest] = grpc.request as readonly Uint8Array[]; // It is a stream.
  assert.equal(await call(grpcBytes([...rest, first])), undefined);
});

test("canned backend: a request is the same whatever the order of its fields", async (t) => {
  const call = await clientOf(t, [grpcFind]);
  const backwards = new BinaryWriter();
  for (const tag of ["new", "sale"]) backwards.tag(3, WireType.LengthDelimited).string(tag);
  backwards.tag(2, WireType.Varint).int32(25).tag(1, WireType.LengthDelimited).string("abc-123");
  const request = grpcMessage(backwards.finish());
  assert.notDeepEqual(request, grpcBytes(grpcFind.request));
  for (let time = 0; time < 2; time++) assert.deepEqual(await call(request), grpcBytes(grpcFind.answer));
});

/** Requests that break the connection. */
const wrong: { name: string; request: Buffer }[] = [
  {
    name: "says something else",
    request: grpcMessage(toBinary(FindRequestSchema, create(FindRequestSchema, { name: "abc-124" }))),
  },
  { name: "is no message", request: grpcMessage(Buffer.from([0xff])) },
  {
    name: "has two messages",
    request: Buffer.concat([grpcBytes(grpcFind.request), grpcBytes(grpcFind.request)]),
  },
  { name: "is empty", request: Buffer.alloc(0) },
];
for (const { name, request } of wrong) {
  test(`canned backend: a request that ${name} breaks the connection`, { timeout: 30_000 }, async (t) => {
    const call = await clientOf(t, [grpcFind]);
    assert.equal(await call(request), undefined);
  });
}

test(
  "canned backend: a window smaller than the reply breaks the connection",
  { timeout: 30_000 },
  async (t) => {
    const call = await clientOf(t, [listBooks.grpc], 4096);
    assert.equal(await call(grpcBytes(listBooks.grpc.request)), undefined);
  },
);
