import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { running } from "../../support/running-grpc.ts";

async function* from<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

test("unary calls carry messages, headers, trailers", async (t) => {
  const { client } = await running(t);
  const seen: Headers[] = [];
  const reply = await client.echo(
    {
      text: "grüß",
      payload: new Uint8Array([0, 255]),
      behaviour: { headers: { a: "1" }, trailers: { b: "2" } },
    },
    {
      headers: { "x-in": "yes" },
      onHeader: (headers) => seen.push(headers),
      onTrailer: (headers) => seen.push(headers),
    },
  );
  assert.equal(reply.text, "grüß");
  assert.deepEqual([...reply.payload], [0, 255]);
  assert.equal(reply.headers["x-in"], "yes");
  assert.equal(reply.protocol, "grpc");
  assert.equal(seen[0]?.get("a"), "1");
  assert.equal(seen[1]?.get("b"), "2");
});

test("server streams arrive whole and in order", async (t) => {
  const { client } = await running(t);
  const indexes: number[] = [];
  for await (const { index } of client.repeat({ text: "x", count: 1000 })) indexes.push(index);
  assert.deepEqual(
    indexes,
    Array.from({ length: 1000 }, (_, index) => index),
  );
});

test("client streams arrive whole and in order", async (t) => {
  const { client } = await running(t);
  const texts = Array.from({ length: 1000 }, (_, index) => `m${index}`);
  const reply = await client.collect(from(texts.map((text) => ({ text }))));
  assert.deepEqual(reply.texts, texts);
});

test("bidi streams answer each message", async (t) => {
  const { client } = await running(t);
  const texts = Array.from({ length: 100 }, (_, index) => `m${index}`);
  const got: string[] = [];
  for await (const { text } of client.chat(from(texts.map((text) => ({ text }))))) got.push(text);
  assert.deepEqual(got, texts);
});

test("errors carry code, message, details and metadata", async (t) => {
  const { client } = await running(t);
  const error = await client
    .echo({
      behaviour: {
        failure: { code: Code.NotFound, message: "100 % wég\n", reasons: ["r1"], metadata: { m: "v" } },
      },
    })
    .then(
      () => assert.fail("did not fail"),
      (reason: unknown) => ConnectError.from(reason),
    );
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.rawMessage, "100 % wég\n");
  assert.equal(error.details.length, 1);
  assert.equal(error.metadata.get("m"), "v");
});
