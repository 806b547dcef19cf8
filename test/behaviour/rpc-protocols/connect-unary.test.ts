import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from "node:zlib";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EchoRequestSchema, EchoResponseSchema, EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { ask, bomb, connectPost, echoPath, jsonOf, peakOf } from "./rpc-fixture.ts";

const limit = 64 * 1024;

describe("a unary call by Connect", () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway({ maxBodyBytes: limit });
  });
  after(() => gateway[Symbol.asyncDispose]());

  test("JSON there and back", async () => {
    const answer = await connectPost(gateway.port, '{"text":"a","number":"5"}');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["content-type"], "application/json");
    const { text, number, protocol, payload } = jsonOf(answer);
    assert.deepEqual(
      { text, number, protocol, payload },
      { text: "a", number: "5", protocol: "connect", payload: undefined },
    );
  });

  test("binary there and back", async () => {
    const body = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "b" }));
    const answer = await connectPost(gateway.port, body, { "content-type": "application/proto" });
    assert.equal(answer.headers["content-type"], "application/proto");
    assert.equal(fromBinary(EchoResponseSchema, answer.body).text, "b");
  });

  test("T07: integers are exact", async () => {
    const answer = await connectPost(gateway.port, '{"number":9007199254740993}');
    assert.equal(jsonOf(answer)["number"], "9007199254740993");
    const refused = await connectPost(gateway.port, '{"number":9223372036854775808}');
    assert.equal(refused.status, 400);
    assert.equal(jsonOf(refused)["code"], "invalid_argument");
  });

  test("T08: text that is no UTF-8 is refused", async () => {
    const { calls } = gateway.echo;
    const json = await connectPost(
      gateway.port,
      Buffer.from([...Buffer.from('{"text":"'), 0xff, 0x22, 0x7d]),
    );
    assert.equal(json.status, 400);
    const binary = await connectPost(gateway.port, Buffer.from([0x0a, 1, 0xff]), {
      "content-type": "application/proto",
    });
    assert.equal(binary.status, 400);
    assert.equal(gateway.echo.calls, calls);
  });

  test("names that stand twice are refused", async () => {
    assert.equal((await connectPost(gateway.port, '{"text":"a","text":"b"}')).status, 400);
  });

  test("G05: malformed and deeply nested messages are 400 and repeat nothing", async () => {
    const secret = Buffer.concat([Buffer.from([0x0a, 0x7f]), Buffer.from("hunter2")]);
    const answer = await connectPost(gateway.port, secret, { "content-type": "application/proto" });
    assert.equal(answer.status, 400);
    assert.equal(jsonOf(answer)["code"], "invalid_argument");
    assert.ok(!answer.body.includes("hunter2"));
    const deep = await connectPost(gateway.port, `${'{"behaviour":'.repeat(4000)}1${"}".repeat(4000)}`);
    assert.equal(deep.status, 400);
    await gateway.stillServes();
  });

  test("G07: a message at the limit passes, one byte more is resource_exhausted", async () => {
    const overhead = '{"text":""}'.length;
    const at = await connectPost(gateway.port, `{"text":"${"x".repeat(limit - overhead)}"}`);
    assert.equal(at.status, 200);
    const above = await connectPost(gateway.port, `{"text":"${"x".repeat(limit - overhead + 1)}"}`);
    assert.equal(above.status, 429);
    assert.equal(jsonOf(above)["code"], "resource_exhausted");
    await gateway.stillServes();
  });

  test("G13, H29: a message that unfolds is resource_exhausted", async () => {
    const zeros = brotliCompressSync(Buffer.alloc(48 << 20));
    for (const [encoding, bytes] of [
      ["gzip", bomb],
      ["br", zeros],
    ] as const) {
      const peak = await peakOf(async () => {
        const answer = await connectPost(gateway.port, bytes, { "content-encoding": encoding });
        assert.equal(answer.status, 429, encoding);
      });
      assert.ok(peak < 24 << 20, `the message was unfolded: ${peak} bytes`);
    }
    await gateway.stillServes();
  });

  test("G12: broken compression is 400", async () => {
    const answer = await connectPost(gateway.port, Buffer.from("no gzip"), { "content-encoding": "gzip" });
    assert.equal(answer.status, 400);
    assert.equal(jsonOf(answer)["code"], "invalid_argument");
    await gateway.stillServes();
  });

  test("G11: an unknown compression is unimplemented and told which there are", async () => {
    const answer = await connectPost(gateway.port, "{}", { "content-encoding": "foo" });
    assert.equal(answer.status, 501);
    assert.equal(jsonOf(answer)["code"], "unimplemented");
    assert.equal(answer.headers["accept-encoding"], "gzip,br");
  });

  test("replies are compressed as the client asks", async () => {
    const body = JSON.stringify({ text: "x".repeat(2000) });
    for (const [accept, encoding, unpack] of [
      ["gzip", "gzip", gunzipSync],
      ["br, gzip", "br", brotliDecompressSync],
    ] as const) {
      const answer = await connectPost(gateway.port, body, { "accept-encoding": accept });
      assert.equal(answer.headers["content-encoding"], encoding);
      assert.equal((JSON.parse(unpack(answer.body).toString()) as { text: string }).text.length, 2000);
    }
    const small = await connectPost(gateway.port, "{}", { "accept-encoding": "gzip" });
    assert.equal(small.headers["content-encoding"], undefined);
  });

  for (const value of ["abc", "-1", "1.5", "12345678901", ""]) {
    test(`G14: Connect-Timeout-Ms ${JSON.stringify(value)} is 400`, async () => {
      const { calls } = gateway.echo;
      const answer = await connectPost(gateway.port, "{}", { "connect-timeout-ms": value });
      assert.equal(answer.status, 400);
      assert.equal(gateway.echo.calls, calls);
    });
  }

  test("a deadline that passes is 504", async () => {
    const body = '{"behaviour":{"sleepMs":10000}}';
    const answer = await connectPost(gateway.port, body, { "connect-timeout-ms": "50" });
    assert.equal(answer.status, 504);
    assert.equal(jsonOf(answer)["code"], "deadline_exceeded");
  });

  test("another version of the protocol is 400", async () => {
    assert.equal((await connectPost(gateway.port, "{}", { "connect-protocol-version": "2" })).status, 400);
  });

  test("content types and methods that are not served are told what is", async () => {
    const { calls } = gateway.echo;
    const foo = await connectPost(gateway.port, "{}", { "content-type": "application/foo" });
    assert.equal(foo.status, 415);
    assert.equal(foo.headers["accept-post"], "application/json, application/proto");
    const charset = { "content-type": "application/json; charset=latin1" };
    assert.equal((await connectPost(gateway.port, "{}", charset)).status, 415);
    const stream = await ask(gateway.port, echoPath, { "content-type": "application/connect+json" }, "");
    assert.equal(stream.status, 415);
    assert.match(String(stream.headers["accept-post"]), /application\/json, application\/proto/);
    const put = await ask(gateway.port, echoPath, { "connect-protocol-version": "1" }, "{}", "PUT");
    assert.deepEqual([put.status, put.headers.allow], [405, "POST"]);
    const unknown = await ask(
      gateway.port,
      "/tsms.test.v1.EchoService/No",
      { "connect-protocol-version": "1" },
      "{}",
    );
    assert.equal(unknown.status, 404);
    assert.equal(unknown.headers["content-type"], "text/plain; charset=utf-8");
    assert.equal(gateway.echo.calls, calls);
  });

  test("an error has its code, details, headers and trailers", async () => {
    const failure = { code: 5, message: "nö", reasons: ["R"], metadata: { own: "m" } };
    const behaviour = { headers: { h: "1" }, trailers: { t: "2" }, failure };
    const answer = await connectPost(gateway.port, JSON.stringify({ behaviour }));
    assert.equal(answer.status, 404);
    assert.deepEqual(jsonOf(answer), {
      code: "not_found",
      message: "nö",
      details: [{ type: "google.rpc.ErrorInfo", value: "CgFS", debug: { reason: "R" } }],
    });
    const { h, "trailer-t": t, "trailer-own": own } = answer.headers;
    assert.deepEqual({ h, t, own }, { h: "1", t: "2", own: "m" });
  });

  test("an unexpected exception is hidden", async () => {
    const answer = await connectPost(gateway.port, '{"behaviour":{"failure":{"message":"secret"}}}');
    assert.equal(answer.status, 500);
    assert.deepEqual(jsonOf(answer), { code: "internal", message: "internal error" });
  });

  test("headers become metadata, but for those of protocols, connections, identities and browsers", async () => {
    const headers = {
      "x-any": "1",
      "b-bin": "AQ==",
      cookie: "c",
      origin: "o",
      "x-user-id": "i",
      "x-auth-a": "a",
    };
    const seen = jsonOf(await connectPost(gateway.port, "{}", headers))["headers"];
    assert.deepEqual(seen, { "x-any": "1", "b-bin": "AQ" });
    assert.equal((await connectPost(gateway.port, "{}", { "b-bin": "?" })).status, 400);
  });

  test("without the mark the same path is REST", async () => {
    const answer = await ask(gateway.port, echoPath, { "content-type": "application/json" }, '{"text":1}');
    assert.equal(jsonOf(answer)["code"], 3);
  });

  test("a header of Connect on a path of REST says nothing", async () => {
    const headers = { "content-type": "application/json", "connect-protocol-version": "1" };
    const answer = await ask(gateway.port, "/test/v1/echo", headers, "{}");
    assert.equal(jsonOf(answer)["protocol"], "rest");
  });
});

describe("a Connect GET", () => {
  let gateway: Gateway;
  // The contract marks no rpc of its own as free of side effects.
  const { echo } = EchoService.method;
  const level = echo.idempotency;
  before(async () => {
    Object.assign(echo, { idempotency: MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS });
    gateway = await startGateway();
  });
  after(async () => {
    Object.assign(echo, { idempotency: level });
    await gateway[Symbol.asyncDispose]();
  });
  const get = (query: string, headers = {}) => ask(gateway.port, `${echoPath}?connect=v1&${query}`, headers);

  test("JSON, plain and in base64, and compressed binary", async () => {
    const message = encodeURIComponent('{"text":"é +"}');
    assert.equal(jsonOf(await get(`encoding=json&message=${message}`))["text"], "é +");
    const base64 = Buffer.from('{"text":"b"}').toString("base64url");
    assert.equal(jsonOf(await get(`encoding=json&base64=1&message=${base64}`))["text"], "b");
    const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "c" }));
    for (const [compression, packed] of [
      ["gzip", gzipSync(bytes)],
      ["br", brotliCompressSync(bytes)],
    ] as const) {
      const query = `encoding=proto&base64=1&compression=${compression}&message=${packed.toString("base64url")}`;
      const answer = await get(query);
      assert.equal(fromBinary(EchoResponseSchema, answer.body).text, "c");
      assert.equal(answer.headers.vary, "accept-encoding");
    }
    const escaped = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
    assert.equal(
      fromBinary(EchoResponseSchema, (await get(`encoding=proto&message=${escaped}`)).body).text,
      "c",
    );
  });

  for (const [name, query, status] of [
    ["bad base64", "encoding=json&base64=1&message=%21%21", 400],
    ["no encoding", "message=%7B%7D", 400],
    ["no message", "encoding=json", 400],
    ["an unknown encoding", "encoding=xml&message=", 415],
    ["an unknown compression", "encoding=json&compression=foo&message=%7B%7D", 501],
    ["broken gzip", "encoding=json&compression=gzip&base64=1&message=AAAA", 400],
    ["no UTF-8", "encoding=json&message=%7B%22text%22%3A%22%FF%22%7D", 400],
    ["a broken escape", "encoding=json&message=%7", 400],
    ["64 KiB", `encoding=json&message=${"x".repeat(65_536)}`, 431],
    ["more than a target may have", `encoding=json&message=${"x".repeat(9000)}`, 414],
  ] as const) {
    test(`G27: ${name} is ${status}`, async () => {
      const { calls } = gateway.echo;
      assert.equal((await get(query)).status, status);
      assert.equal(gateway.echo.calls, calls);
      await gateway.stillServes();
    });
  }
});

test("G27: a GET of an rpc with side effects or a stream is 405", async () => {
  await using gateway = await startGateway();
  for (const name of ["Echo", "Repeat"]) {
    const path = `/tsms.test.v1.EchoService/${name}?connect=v1&encoding=json&message=%7B%7D`;
    const answer = await ask(gateway.port, path);
    assert.deepEqual([answer.status, answer.headers.allow], [405, "POST"]);
  }
  assert.equal(gateway.echo.calls, 0);
});
