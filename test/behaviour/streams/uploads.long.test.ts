import assert from "node:assert/strict";
import { once } from "node:events";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { FeedService, type AppendRequest } from "../../../gen/tsms/test/v1/feed_pb.ts";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { service } from "../../../src/core/call/service.ts";
import { Feed } from "../../support/feed-service.ts";
import { within } from "../../support/running-grpc.ts";
import { bodyOf, connectTo, everyWay, readUntil, statusOf } from "../../support/gateway-fixture.ts";
import { openStream, readAll } from "./stream-client.ts";

const json = "application/json";

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

async function send(
  url: string,
  body: string | Buffer,
  headers: Record<string, string> = { "content-type": json },
): Promise<Answer> {
  const reply = await openStream(url, { method: "POST", headers, body });
  const { text } = await readAll(reply);
  return { status: reply.response.statusCode, text };
}

function onEveryWay(
  name: string,
  body: (start: (typeof everyWay)[number][1], t: TestContext) => Promise<void>,
): void {
  for (const [way, start] of everyWay) test(`${name} (${way})`, (t) => body(start, t));
}

onEveryWay(
  "a client stream takes an array, lines, and texts one behind the other",
  async (startGateway, t) => {
    await using gateway = await startGateway();
    const bodies: readonly [body: string, texts: readonly string[]][] = [
      ['[{"text":"a"},{"text":"b"}]', ["a", "b"]],
      ['{"text":"a"}\n{"text":"b"}\n', ["a", "b"]],
      ['{"text":"a"}{"text":"b"}', ["a", "b"]],
      ['\ufeff{"text":"a"}', ["a"]],
      ["[]", []],
      ["", []],
      [" \n", []],
    ];
    for (const [body, texts] of bodies) {
      for (const type of [json, "application/x-ndjson", "application/jsonl; charset=utf-8", "text/json"]) {
        await t.test(`${JSON.stringify(body)} as ${type}`, async () => {
          const { status, text } = await send(`${gateway.url}/test/v1/collect`, body, {
            "content-type": type,
          });
          assert.equal(status, 200);
          assert.deepEqual(JSON.parse(text), { texts, count: texts.length, payloadBytes: "0" });
        });
      }
    }
  },
);

onEveryWay("what is wrong with an upload has a status", async (startGateway, t) => {
  await using gateway = await startGateway({ maxBodyBytes: 100 });
  const table: readonly [
    body: string | Buffer,
    headers: Record<string, string>,
    status: number,
    text: RegExp,
  ][] = [
    ['[{"text":"a"}][]', { "content-type": json }, 400, /after its array/],
    ['[{"text":"a"}', { "content-type": json }, 400, /ends inside of its array/],
    ['{"text":"a"', { "content-type": json }, 400, /ends inside of a message/],
    ['{"text":1}', { "content-type": json }, 400, /"field":"text"/],
    ['{"text":"a"}{"text":1}', { "content-type": json }, 400, /"field":"text"/],
    ["null", { "content-type": json }, 400, /"code":3/],
    [Buffer.from('{"text":"\xff"}', "latin1"), { "content-type": json }, 400, /UTF-8/],
    [`{"text":"${"x".repeat(100)}"}`, { "content-type": json }, 413, /larger than 100 bytes/],
    ["text=a", { "content-type": "application/x-www-form-urlencoded" }, 415, /application\/x-ndjson/],
    ["{}", {}, 415, /no content type/],
    ["{}", { "content-type": `${json}; charset=latin1` }, 415, /latin1/],
    ["{}", { "content-type": "application/proto" }, 415, /application\/proto/],
    ["{}", { "content-type": json, "content-encoding": "pack200" }, 415, /pack200/],
    ["{}", { "content-type": json, "content-encoding": "gzip" }, 400, /compressed/],
  ];
  for (const [body, headers, status, text] of table) {
    await t.test(
      `${JSON.stringify(String(body).slice(0, 30))} ${JSON.stringify(headers)} is ${status}`,
      async () => {
        const answer = await send(`${gateway.url}/test/v1/collect`, body, headers);
        assert.equal(answer.status, status, answer.text);
        assert.match(answer.text, text);
        await gateway.stillServes();
      },
    );
  }
});

onEveryWay("compressed uploads are read as they come", async (startGateway) => {
  await using gateway = await startGateway();
  const body = Buffer.from('{"text":"a"}\n'.repeat(1000));
  for (const [encoding, compress] of [
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
    ["zstd", zstdCompressSync],
    ["identity", (bytes: Buffer) => bytes],
  ] as const) {
    const headers = { "content-type": json, "content-encoding": encoding };
    const { status, text } = await send(`${gateway.url}/test/v1/collect`, compress(body), headers);
    assert.equal(status, 200, text);
    assert.equal((JSON.parse(text) as { count: number }).count, 1000);
  }
});

onEveryWay(
  "H17: one message beyond the limit is 413 as soon as it is, however the body is framed",
  async (startGateway) => {
    await using gateway = await startGateway({ maxBodyBytes: 1000 });
    const socket = await connectTo(gateway.port);
    socket.write(
      "POST /test/v1/collect HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    // Far more than the limit in all, as long as each message fits.
    for (let i = 0; i < 10; i++) socket.write(chunk(`{"text":"${"x".repeat(900)}"}`));
    await gateway.echo.until(({ received }) => received === 10);
    socket.write(chunk(`{"text":"${"x".repeat(992)}`)); // 1,001 bytes of a message without an end.
    const answer = await readUntil(socket, (text) => text.includes('"code":8'));
    assert.equal(statusOf(answer), 413);
    await gateway.stillServes();
  },
);

onEveryWay("H17: a small body that unpacks to a large message is 413", async (startGateway) => {
  await using gateway = await startGateway({ maxBodyBytes: 100_000 });
  const before = process.memoryUsage().rss;
  const bomb = gzipSync(Buffer.from(`{"text":"${"x".repeat(200 * 1024 * 1024)}"}`));
  const spent = process.memoryUsage().rss - before;
  const headers = { "content-type": json, "content-encoding": "gzip" };
  const { status } = await send(`${gateway.url}/test/v1/collect`, bomb, headers);
  assert.equal(status, 413);
  assert.ok(process.memoryUsage().rss - before - spent < 64 * 1024 * 1024);
  await gateway.stillServes();
});

onEveryWay("a body without a byte for too long is 408, one that trickles is not", async (startGateway) => {
  const head =
    "POST /test/v1/collect HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 24\r\n\r\n";
  {
    await using gateway = await startGateway({ bodyIdleMs: 300 });
    const idle = await connectTo(gateway.port);
    idle.write(`${head}{"text":`);
    const answer = await readUntil(idle, (text) => text.includes("}"));
    assert.equal(statusOf(answer), 408);
    assert.match(bodyOf(answer), /"code":4,.*300 ms/);
  }
  /** What becomes of a body whose bytes come so far apart: all of them take three times as long as one may. */
  const trickled = async (bodyIdleMs: number): Promise<string> => {
    await using gateway = await startGateway({ bodyIdleMs });
    const slow = await connectTo(gateway.port);
    slow.write(head);
    const bytes = '{"text":"a"}{"text":"b"}'.split("");
    const timer = setInterval(() => {
      const byte = bytes.shift();
      if (byte === undefined) clearInterval(timer);
      else slow.write(byte);
    }, bodyIdleMs / 7.5);
    const isWhole = (text: string): boolean => /payloadBytes|"code"/.test(text);
    const answer = await readUntil(slow, isWhole, 10 * bodyIdleMs);
    clearInterval(timer);
    slow.destroy();
    await gateway.stillServes();
    return answer;
  };
  let answer = "";
  // A busy machine may send nothing for that long: then everything is slower.
  for (const bodyIdleMs of [300, 1_500, 6_000]) {
    answer = await trickled(bodyIdleMs);
    if (statusOf(answer) !== 408) break;
  }
  assert.equal(statusOf(answer), 200);
  assert.match(answer, /"texts":\["a","b"\]/);
});

onEveryWay("a handler that is slow to read is no fault of the client", async (startGateway) => {
  await using gateway = await startGateway({ bodyIdleMs: 200 });
  const body = '{"text":"a","behaviour":{"sleepMs":800}}{"text":"b"}';
  const { status, text } = await send(`${gateway.url}/test/v1/collect`, body);
  assert.equal(status, 200, text);
});

onEveryWay("path and query bind the first message, and the body field each", async (startGateway) => {
  await using gateway = await startGateway({}, [new Feed(1)]);
  const url = `${gateway.url}/test/v1/feeds/news:append?dryRun=true&item.text=ignored`;
  const { status, text } = await send(url, '{"number":1,"text":"a"}{"number":"2"}');
  assert.equal(status, 200, text);
  assert.deepEqual(JSON.parse(text), {
    requests: [
      { feed: "news", dryRun: true, item: { number: "1", text: "a" } },
      { feed: "", dryRun: false, item: { number: "2", text: "" } },
    ],
  });
});

onEveryWay("messages reach the handler while the body is still coming", async (startGateway) => {
  await using gateway = await startGateway();
  const socket = await connectTo(gateway.port);
  socket.write(
    "POST /test/v1/collect HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
  for (const [index, part] of ['[{"text":"a"}', ',{"text"', ':"b"},{"text":"c"}'].entries()) {
    socket.write(chunk(part));
    const due = [1, 1, 3][index] ?? 0;
    await within(
      10_000,
      "the message",
      gateway.echo.until(({ received }) => received === due),
    );
  }
  socket.write(`${chunk("]")}0\r\n\r\n`);
  const answer = await readUntil(socket, (text) => text.includes("payloadBytes"));
  assert.match(answer, /"texts":\["a","b","c"\]/);
});

onEveryWay("an upload waits for its handler instead of filling the memory", async (startGateway) => {
  const gate = Promise.withResolvers<void>();
  const began = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const slow = service(FeedService, {
    async append(requests: AsyncIterable<AppendRequest>, { signal }: HandlerContext) {
      signal.addEventListener("abort", () => aborted.resolve(), { once: true });
      for await (const _ of requests) {
        began.resolve();
        await gate.promise;
      }
      return {};
    },
  });
  await using gateway = await startGateway({}, [slow]);
  const before = process.memoryUsage().rss;
  const socket = await connectTo(gateway.port);
  socket.on("error", () => {});
  const one = Buffer.from(`{"text":"${"A".repeat(64 * 1024)}"}\n`);
  socket.write(
    `POST /test/v1/feeds/a:append HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${one.length * 4800}\r\n\r\n`,
  );
  socket.write(one);
  await began.promise;
  let sent = 0;
  let stopped = false;
  while (!stopped && sent < 4000) {
    sent++;
    if (socket.write(one)) continue;
    const patience = new AbortController();
    stopped = await Promise.race([
      once(socket, "drain").then(() => false),
      sleep(1000, true, { signal: patience.signal }).catch(() => false),
    ]);
    patience.abort();
  }
  assert.ok(stopped, "everything was taken at once");
  assert.ok(process.memoryUsage().rss - before < 96 * 1024 * 1024);
  socket.destroy();
  gate.resolve();
  await within(20_000, "the cancellation", aborted.promise);
  await gateway.stillServes();
});

onEveryWay("a handler that ends before its upload does answers at once", async (startGateway) => {
  await using gateway = await startGateway();
  const first = '{"text":"a","behaviour":{"failure":{"code":7,"after":1,"message":"enough"}}}';
  const reply = await openStream(`${gateway.url}/test/v1/collect`, {
    method: "POST",
    headers: { "content-type": json, "transfer-encoding": "chunked" },
    onRequest: (request) => request.write(first),
  });
  assert.equal(reply.response.statusCode, 403);
  await readAll(reply);
  reply.request.destroy();
  await gateway.stillServes();
});

onEveryWay("bidi over one exchange answers while the request is still coming", async (startGateway) => {
  await using gateway = await startGateway();
  const opened = openStream(`${gateway.url}/test/v1/chat`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson", "transfer-encoding": "chunked" },
    onRequest: (request) => request.write('{"text":"a"}\n'),
  });
  const reply = await opened;
  assert.equal(reply.response.statusCode, 200);
  await reply.until((text) => text.includes('"text":"a"'));
  reply.request.write('{"text":"b"}\n');
  await reply.until((text) => text.includes('"text":"b"'));
  reply.request.end('{"text":"c"}');
  const { text, end } = await readAll(reply);
  assert.equal(end, "complete");
  assert.equal(text.split("\n").length, 4);
});

onEveryWay(
  "a parse error of a bidi request comes in-band once the answer has begun, as a status before",
  async (startGateway) => {
    await using gateway = await startGateway();
    const headers = { "content-type": json };
    const late = await openStream(`${gateway.url}/test/v1/chat`, {
      method: "POST",
      headers: { ...headers, "transfer-encoding": "chunked" },
      onRequest: (request) => request.write('{"text":"a"}'),
    });
    assert.equal(late.response.statusCode, 200);
    await late.until((text) => text.includes('"text":"a"'));
    late.request.end('{"text":}');
    assert.match((await readAll(late)).text, /^\{"text":"a".*\}\n\{"error":\{"code":3,.*\}\n$/);
    const early = await send(`${gateway.url}/test/v1/chat`, '{"text":}', headers);
    assert.equal(early.status, 400);
    await gateway.stillServes();
  },
);

onEveryWay("an error of the handler in the middle of an upload is the answer", async (startGateway) => {
  await using gateway = await startGateway();
  const first = '{"text":"a","behaviour":{"failure":{"code":7,"after":1,"message":"enough"}}}';
  const { status, text } = await send(
    `${gateway.url}/test/v1/collect`,
    first + '{"text":"b"}'.repeat(10_000),
  );
  assert.equal(status, 403);
  assert.equal(text, '{"code":7,"message":"enough","details":[]}');
  await gateway.stillServes();
});

onEveryWay("a large upload is told to go on when it asks", async (startGateway) => {
  await using gateway = await startGateway({ maxBodyBytes: 1000 });
  const socket = await connectTo(gateway.port);
  const body = `{"text":"${"x".repeat(900)}"}`.repeat(3);
  socket.write(
    `POST /test/v1/collect HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.once("data", (bytes: Buffer) => {
    if (bytes.toString().startsWith("HTTP/1.1 100 ")) socket.write(body);
  });
  const answer = await readUntil(socket, (text) => text.includes("payloadBytes"));
  assert.match(answer, /"count":3/);
});
