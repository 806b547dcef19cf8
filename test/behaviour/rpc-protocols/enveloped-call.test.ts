import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, createClient, type ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import {
  CollectRequestSchema,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
  RepeatRequestSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { connectTo, readUntil, startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { ask, bomb, echoPath, envelope, envelopes, peakOf } from "./rpc-fixture.ts";

const limit = 64 * 1024;
const service = "/tsms.test.v1.EchoService";
const collect = (text: string) => toBinary(CollectRequestSchema, create(CollectRequestSchema, { text }));

/** How a raw body ended. */
function endOf(body: Buffer): { code: string | undefined; trailers: string } {
  const last = envelopes(body).at(-1);
  const trailers = last?.data.toString() ?? "";
  assert.ok(last !== undefined && (last.flags === 2 || last.flags === 0x80), `no end in ${body.toString()}`);
  if (last.flags === 0x80) return { code: /^grpc-status: (\d+)/m.exec(trailers)?.[1], trailers };
  return { code: (JSON.parse(trailers) as { error?: { code: string } }).error?.code, trailers };
}

describe("calls in envelopes", () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway({ maxBodyBytes: limit });
  });
  after(() => gateway[Symbol.asyncDispose]());

  for (const [name, make] of [
    ["Connect", createConnectTransport],
    ["gRPC-Web", createGrpcWebTransport],
  ] as const) {
    for (const useBinaryFormat of [true, false]) {
      test(`every kind of rpc by ${name}, ${useBinaryFormat ? "binary" : "JSON"}`, async () => {
        const transport = make({ baseUrl: gateway.url, httpVersion: "1.1", useBinaryFormat });
        const client = createClient(EchoService, transport);
        const number = 9_007_199_254_740_993n;
        assert.equal((await client.echo({ text: "a", number })).number, number);
        const repeated: number[] = [];
        for await (const { index } of client.repeat({ text: "x".repeat(2000), count: 3 }))
          repeated.push(index);
        assert.deepEqual(repeated, [0, 1, 2]);
        const texts = async function* () {
          yield { text: "a" };
          yield { text: "b" };
        };
        assert.deepEqual((await client.collect(texts())).texts, ["a", "b"]);
        const behaviour = { failure: { code: Code.Aborted, message: "é", after: 2 }, trailers: { t: "1" } };
        await assert.rejects(
          async () => {
            for await (const { index } of client.repeat({ count: 3, behaviour })) assert.ok(index < 2);
          },
          (error: ConnectError) =>
            error.code === Code.Aborted && error.rawMessage === "é" && error.metadata.get("t") === "1",
        );
      });
    }
  }

  const types = [
    ["application/connect+proto", "resource_exhausted", "invalid_argument", "internal"],
    ["application/grpc-web+proto", "8", "13", "13"],
  ] as const;
  for (const [type, exhausted, malformed, uncompressed] of types) {
    const send = (path: string, body: Uint8Array, headers = {}) =>
      ask(gateway.port, `${service}/${path}`, { "content-type": type, ...headers }, body);
    const encoding = type.includes("connect") ? "connect-content-encoding" : "grpc-encoding";

    test(`half-duplex on HTTP/1.1 by ${type}`, async () => {
      const answer = await send("Chat", Buffer.concat([envelope(collect("a")), envelope(collect("b"))]));
      assert.equal(answer.status, 200);
      assert.equal(answer.headers["content-type"], type);
      assert.deepEqual(
        envelopes(answer.body).map(({ flags }) => flags & 0x7e),
        [0, 0, endFlag(type) & 0x7e],
      );
    });

    test(`G07: messages at the limit pass, above they do not, by ${type}`, async () => {
      const overhead = 4; // Field number, and a length of three bytes.
      const at = collect("x".repeat(limit - overhead));
      assert.equal(at.length, limit);
      assert.equal(endOf((await send("Collect", envelope(at))).body).code, endOk(type));
      const above = envelope(collect("x".repeat(limit - overhead + 1)));
      assert.equal(endOf((await send("Collect", above)).body).code, exhausted);
      assert.equal(endOf((await send("Repeat", above)).body).code, exhausted);
    });

    test(`G07: a client that goes on sending what is too large gets its answer, by ${type}`, async () => {
      const socket = await connectTo(gateway.port);
      const head = `POST ${service}/Collect HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n`;
      const chunk = Buffer.alloc(8192, 0x20);
      const framed = Buffer.concat([Buffer.from("2000\r\n"), chunk, Buffer.from("\r\n")]);
      socket.write(head);
      socket.write(Buffer.concat([Buffer.from("5\r\n"), envelope("", 0, 1 << 30), Buffer.from("\r\n")]));
      const pump = (): void => void (socket.destroyed || socket.write(framed, () => setImmediate(pump)));
      pump();
      const answer = await readUntil(socket, (text) => /resource_exhausted|grpc-status: 8/.test(text));
      assert.match(answer, /^HTTP\/1\.1 200 /);
    });

    test(`G13: a message that unfolds is refused, by ${type}`, async () => {
      const peak = await peakOf(async () => {
        const { body } = await send("Collect", envelope(bomb, 1), { [encoding]: "gzip" });
        assert.equal(endOf(body).code, exhausted);
      });
      assert.ok(peak < 24 << 20, `the message was unfolded: ${peak} bytes`);
    });

    for (const [name, body, headers, code] of [
      ["G12: broken compression", envelope("no gzip", 1), { [encoding]: "gzip" }, malformed],
      ["a compressed message without an encoding", envelope("", 1), {}, uncompressed],
      ["unknown flags", envelope("", 4), {}, malformed],
      ["G05: malformed bytes", envelope(Buffer.from([0x0a, 0x7f])), {}, malformed],
      ["a body that breaks off in a head", Buffer.from([0, 0]), {}, "invalid_argument"],
      ["a body that breaks off in a message", envelope("ab", 0, 5), {}, "invalid_argument"],
    ] as const) {
      test(`${name} is an error, by ${type}`, async () => {
        const { code: found } = endOf((await send("Collect", Buffer.from(body), headers)).body);
        assert.equal(found, code === "invalid_argument" && !type.includes("connect") ? "3" : code);
        await gateway.stillServes();
      });
    }

    test(`G11: an unknown compression is told which there are, by ${type}`, async () => {
      const { calls } = gateway.echo;
      const { code, trailers } = endOf((await send("Collect", envelope(""), { [encoding]: "foo" })).body);
      assert.equal(code, type.includes("connect") ? "unimplemented" : "12");
      assert.match(trailers, /accept-encoding.*gzip,br/);
      assert.equal(gateway.echo.calls, calls);
    });

    test(`one message where there is to be one, by ${type}`, async () => {
      const { calls } = gateway.echo;
      const wrong = type.includes("connect") ? "unimplemented" : "12";
      assert.equal(endOf((await send("Repeat", Buffer.alloc(0))).body).code, wrong);
      assert.equal(
        endOf((await send("Repeat", Buffer.concat([envelope(""), envelope("")]))).body).code,
        wrong,
      );
      assert.equal(gateway.echo.calls, calls);
    });

    test(`G14: a malformed timeout is an error, by ${type}`, async () => {
      const { calls } = gateway.echo;
      for (const value of ["abc", "123456789S", "-1S"]) {
        const headers = { "grpc-timeout": value, "connect-timeout-ms": value };
        assert.equal(endOf((await send("Repeat", envelope(""), headers)).body).code, malformed);
      }
      assert.equal(gateway.echo.calls, calls);
    });
  }

  for (const size of [1, 3, 7]) {
    test(`G26: text in chunks of ${size} characters is decoded, and so is the answer`, async () => {
      const bytes = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "text" }));
      const text = envelope(bytes).toString("base64");
      const chunks = text.match(new RegExp(`.{1,${size}}`, "g")) ?? [];
      const socket = await connectTo(gateway.port);
      socket.write(
        `POST ${echoPath} HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc-web-text\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`,
      );
      for (const chunk of chunks) socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`);
      socket.write("0\r\n\r\n");
      const answer = await readUntil(socket, () => false);
      assert.match(answer, /content-type: application\/grpc-web-text\+proto/i);
      const parts = [...answer.matchAll(/\r\n([\w+/=]{8,})\r\n/g)].map(([, part = ""]) =>
        Buffer.from(part, "base64"),
      );
      const [message, end] = envelopes(Buffer.concat(parts));
      assert.equal(fromBinary(EchoResponseSchema, message?.data ?? Buffer.alloc(0)).text, "text");
      assert.equal(end?.flags, 0x80);
      assert.match(end?.data.toString() ?? "", /^grpc-status: 0\r\n$/);
    });
  }

  test("G26: what is no base64 is an error", async () => {
    const headers = { "content-type": "application/grpc-web-text" };
    const answer = await ask(gateway.port, echoPath, headers, "????");
    const end = envelopes(Buffer.from(answer.body.toString(), "base64"))[0];
    assert.match(end?.data.toString() ?? "", /^grpc-status: 3$/m);
  });
});

function endFlag(type: string): number {
  return type.includes("connect") ? 2 : 0x80;
}

function endOk(type: string): string | undefined {
  return type.includes("connect") ? undefined : "0";
}

test("the head of a stream does not wait for ever", async () => {
  await using gateway = await startGateway();
  const request = toBinary(
    RepeatRequestSchema,
    create(RepeatRequestSchema, { count: 1, behaviour: { sleepMs: 60_000, headers: { h: "1" } } }),
  );
  const body = envelope(request);
  const socket = await connectTo(gateway.port);
  socket.write(
    `POST ${service}/Repeat HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+proto\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  const answer = await readUntil(socket, (text) => text.includes("\r\n\r\n"));
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /^h: 1\r$/m);
});
