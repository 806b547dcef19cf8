import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { Feed } from "../../support/feed-service.ts";
import { bodyOf, everyWay, exchangeBytes, statusOf } from "../../support/gateway-fixture.ts";
import { eventsOf, openStream, readAll } from "./stream-client.ts";

const run = promisify(execFile);

const item = (index: number): string => `{"text":"a","payload":"","index":${index}}`;

/** A query that makes the echo fail. */
const failure = (after: number, code = 5, message = "no more"): string =>
  `behaviour.failure.code=${code}&behaviour.failure.after=${after}&behaviour.failure.message=${encodeURIComponent(message)}`;

const status = '{"code":5,"message":"no more","details":[]}';

const accepts = {
  ndjson: "application/x-ndjson",
  sse: "text/event-stream",
  array: "application/json",
} as const;

function onEveryWay(
  name: string,
  body: (start: (typeof everyWay)[number][1], t: TestContext) => Promise<void>,
): void {
  for (const [way, start] of everyWay) test(`${name} (${way})`, (t) => body(start, t));
}

onEveryWay("every encoding carries every message", async (startGateway) => {
  await using gateway = await startGateway();
  const read = async (accept: string, count: number): Promise<string> => {
    const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=${count}`, { headers: { accept } });
    assert.equal(reply.response.headers["content-length"], undefined);
    const { text, end } = await readAll(reply);
    assert.equal(end, "complete");
    return text;
  };
  assert.equal(await read(accepts.ndjson, 2), `${item(0)}\n${item(1)}\n`);
  assert.equal(await read(accepts.ndjson, 0), "");
  assert.equal(await read(accepts.array, 2), `[${item(0)},${item(1)}]`);
  assert.equal(await read(accepts.array, 0), "[]");
  assert.deepEqual(eventsOf(await read(accepts.sse, 2)), [
    { event: "message", id: "1", data: item(0) },
    { event: "message", id: "2", data: item(1) },
    { event: "end", id: "2", data: '{"trailers":{}}' },
  ]);
  assert.deepEqual(eventsOf(await read(accepts.sse, 0)), [
    { event: "end", id: undefined, data: '{"trailers":{}}' },
  ]);
});

onEveryWay("curl -N sees each message as it comes", async (startGateway) => {
  const feed = new Feed(10);
  await using gateway = await startGateway({}, [feed]);
  feed.publish("one");
  const child = execFile("curl", ["-sN", "-H", "accept: text/event-stream", `${gateway.url}/test/v1/feed`]);
  try {
    let text = "";
    const seen = (what: string): Promise<void> =>
      new Promise((resolve) => {
        child.stdout?.on("data", (chunk: string) => {
          text += chunk;
          if (text.includes(what)) resolve();
        });
      });
    await seen('id: 1\ndata: {"position":"1","text":"one","reset":false}\n\n');
    feed.publish("two");
    await seen('id: 2\ndata: {"position":"2","text":"two","reset":false}\n\n');
  } finally {
    child.kill();
  }
});

onEveryWay(
  "response_body holds for each message, and the id is that of the whole message",
  async (startGateway) => {
    const feed = new Feed(10);
    await using gateway = await startGateway({}, [feed]);
    feed.publish("x");
    feed.publish("y");
    const url = `${gateway.url}/test/v1/feed/items?count=2`;
    const array = await readAll(await openStream(url, { headers: { accept: accepts.array } }));
    assert.deepEqual(JSON.parse(array.text), [
      { number: "1", text: "x" },
      { number: "2", text: "y" },
    ]);
    const events = eventsOf(
      (await readAll(await openStream(url, { headers: { accept: accepts.sse } }))).text,
    );
    assert.deepEqual(
      events.map(({ id }) => id),
      ["x", "y", "y"],
    );
  },
);

onEveryWay("indentation asked for elsewhere does not break lines", async (startGateway) => {
  await using gateway = await startGateway({ indent: 2, systemParameters: true });
  for (const accept of [accepts.ndjson, accepts.sse]) {
    const url = `${gateway.url}/test/v1/repeat/a?count=2&$prettyPrint=true`;
    const { text } = await readAll(await openStream(url, { headers: { accept } }));
    assert.ok(text.includes(item(1)), text);
  }
});

onEveryWay(
  "an error before the first message has a status of its own in every encoding",
  async (startGateway) => {
    await using gateway = await startGateway();
    for (const accept of [...Object.values(accepts), "*/*"]) {
      const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=3&${failure(0)}`, {
        headers: { accept },
      });
      assert.equal(reply.response.statusCode, 404);
      assert.equal(reply.response.headers["content-type"], "application/json");
      assert.equal((await readAll(reply)).text, status);
    }
    await gateway.stillServes();
  },
);

onEveryWay(
  "T25: after three messages an error is a last line, an event, or a cut connection",
  async (startGateway) => {
    await using gateway = await startGateway();
    const read = async (accept: string): Promise<{ text: string; end: string }> => {
      const url = `${gateway.url}/test/v1/repeat/a?count=9&${failure(3)}`;
      const reply = await openStream(url, { headers: { accept } });
      assert.equal(reply.response.statusCode, 200);
      return readAll(reply);
    };
    const items = [0, 1, 2].map(item);
    assert.deepEqual(await read(accepts.ndjson), {
      text: `${items.join("\n")}\n{"error":${status}}\n`,
      end: "complete",
    });
    assert.deepEqual(await read(accepts.array), { text: `[${items.join(",")}`, end: "cut" });
    const { text, end } = await read(accepts.sse);
    assert.equal(end, "complete");
    assert.deepEqual(eventsOf(text).at(-1), { event: "error", id: "3", data: status });
    assert.equal(eventsOf(text).length, 4);
    await gateway.stillServes();
  },
);

onEveryWay(
  'T25: with arrayError "element" the array is whole and ends with the error',
  async (startGateway) => {
    await using gateway = await startGateway({ arrayError: "element" });
    const read = async (after: number): Promise<unknown> => {
      const url = `${gateway.url}/test/v1/repeat/a?count=9&behaviour.sleepMs=0&${failure(after)}`;
      const { text, end } = await readAll(await openStream(url, { headers: { accept: accepts.array } }));
      assert.equal(end, "complete");
      return JSON.parse(text);
    };
    const error = { error: { code: 5, message: "no more", details: [] } };
    assert.partialDeepStrictEqual(await read(2), [{ index: 0 }, { index: 1 }, error]);
  },
);

onEveryWay("T25: an exception that nobody planned does not show its text", async (startGateway) => {
  await using gateway = await startGateway();
  const { text } = await readAll(
    await openStream(`${gateway.url}/test/v1/repeat/a?count=9&${failure(1, 0, "secret")}`),
  );
  assert.equal(text, `${item(0)}\n{"error":{"code":13,"message":"internal error","details":[]}}\n`);
});

onEveryWay(
  "trailers are real ones where the client takes them, and stand in the data of the event end",
  async (startGateway) => {
    await using gateway = await startGateway();
    const behaviour = "behaviour.trailers[x-count]=2&behaviour.headers[x-kind]=test";
    for (const accept of Object.values(accepts)) {
      const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=2&${behaviour}`, {
        headers: { accept, te: "trailers", connection: "close, TE" },
      });
      const { text, end } = await readAll(reply);
      assert.equal(end, "complete");
      assert.equal(reply.response.headers["x-kind"], "test");
      assert.equal(reply.response.headers.trailer, "Grpc-Status, Grpc-Message");
      assert.deepEqual({ ...reply.response.trailers }, { "x-count": "2", "grpc-status": "0" });
      if (accept === accepts.sse) {
        assert.equal(eventsOf(text).at(-1)?.data, '{"trailers":{"x-count":"2"}}');
      }
    }
    const plain = await openStream(`${gateway.url}/test/v1/repeat/a?count=2&${behaviour}`);
    await readAll(plain);
    assert.deepEqual({ ...plain.response.trailers }, {});
  },
);

onEveryWay("T25: a late error is in the trailers, too", async (startGateway) => {
  await using gateway = await startGateway();
  const url = `${gateway.url}/test/v1/repeat/a?count=9&${failure(1, 5, "né %")}&behaviour.failure.metadata[x-why]=gone`;
  const reply = await openStream(url, { headers: { te: "trailers", connection: "close, TE" } });
  await readAll(reply);
  assert.deepEqual(
    { ...reply.response.trailers },
    {
      "grpc-status": "5",
      "grpc-message": "n%C3%A9%20%25",
      "x-why": "gone",
    },
  );
});

onEveryWay("HTTP/1.0 clients get one array with its length, and errors a status", async (startGateway) => {
  await using gateway = await startGateway({ maxBufferedBytes: 200 });
  const get = (query: string, header = ""): Promise<string> =>
    exchangeBytes(gateway.port, `GET /test/v1/repeat/a?${query} HTTP/1.0\r\n${header}\r\n`);
  const good = await get("count=2");
  assert.equal(statusOf(good), 200);
  assert.match(good, /content-type: application\/json\r\n/i);
  assert.match(good, new RegExp(`content-length: ${bodyOf(good).length}\r\n`, "i"));
  assert.equal(bodyOf(good), `[${item(0)},${item(1)}]`);
  const late = await get(`count=9&${failure(2)}`);
  assert.equal(statusOf(late), 404);
  assert.equal(bodyOf(late), status);
  const large = await get("count=9");
  assert.equal(statusOf(large), 500);
  assert.match(bodyOf(large), /"code":13,.*larger than 200 bytes/);
  const lines = await get("count=2", "accept: application/x-ndjson\r\n");
  assert.match(lines, /content-length: /i);
  assert.equal(bodyOf(lines), `${item(0)}\n${item(1)}\n`);
  const events = await get("count=9", "accept: text/event-stream\r\n");
  assert.doesNotMatch(events, /content-length|transfer-encoding/i);
  assert.equal(eventsOf(bodyOf(events)).length, 10);
  await gateway.stillServes();
});

onEveryWay("HEAD gets the head of the stream, and its call is cancelled", async (startGateway) => {
  const feed = new Feed(1);
  await using gateway = await startGateway({ headerFlushMs: 300 }, [feed]);
  for (const path of ["/test/v1/feed", "/test/v1/repeat/a?count=1000000"]) {
    const reply = await openStream(gateway.url + path, {
      method: "HEAD",
      headers: { accept: accepts.sse },
    });
    assert.equal(reply.response.statusCode, 200);
    assert.equal(reply.response.headers["content-type"], accepts.sse);
    assert.deepEqual(await readAll(reply), { text: "", end: "complete" });
  }
  await gateway.echo.until(({ aborted }) => aborted === 1);
  const failed = await openStream(`${gateway.url}/test/v1/repeat/a?${failure(0)}`, { method: "HEAD" });
  assert.equal(failed.response.statusCode, 404);
  await gateway.stillServes();
});

onEveryWay("a connection serves further requests after a stream", async (startGateway) => {
  await using gateway = await startGateway();
  const { stdout } = await run("curl", [
    "-s",
    "-w",
    "%{num_connects}\n",
    `${gateway.url}/test/v1/repeat/a?count=1`,
    `${gateway.url}/test/v1/repeat/a?count=1`,
    `${gateway.url}/test/v1/echo/alive`,
  ]);
  const lines = stdout.split("\n");
  assert.deepEqual(lines.slice(0, 4), [item(0), "1", item(0), "0"]);
  assert.match(lines[4] ?? "", /"text":"alive".*\}0$/);
});

onEveryWay("with compat grpc-gateway lines are wrapped, as JSON and by default", async (startGateway) => {
  await using gateway = await startGateway({ compat: "grpc-gateway" });
  for (const accept of ["application/json", "*/*"]) {
    const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=9&${failure(2)}`, {
      headers: { accept },
    });
    assert.equal(reply.response.headers["content-type"], "application/json");
    assert.equal(
      (await readAll(reply)).text,
      `{"result":${item(0)}}\n{"result":${item(1)}}\n{"error":${status}}\n`,
    );
  }
  const plain = await openStream(`${gateway.url}/test/v1/repeat/a?count=1`, {
    headers: { accept: "application/x-ndjson" },
  });
  assert.equal((await readAll(plain)).text, `${item(0)}\n`);
});

onEveryWay("headers of hooks and a good status of the service stand in the head", async (startGateway) => {
  await using gateway = await startGateway({}, [], (http) => {
    http.fastify.addHook("onRequest", (_request, reply, done) => {
      void reply.header("x-hook", "yes").header("vary", "origin");
      done();
    });
  });
  const reply = await openStream(
    `${gateway.url}/test/v1/repeat/a?count=1&behaviour.headers[x-http-status]=201&behaviour.headers[cache-control]=private`,
    { headers: { accept: accepts.sse } },
  );
  await readAll(reply);
  assert.equal(reply.response.statusCode, 201);
  assert.equal(reply.response.headers["x-hook"], "yes");
  assert.equal(reply.response.headers.vary, "origin, accept");
  assert.equal(reply.response.headers["cache-control"], "no-cache");
});

onEveryWay(
  "a stream has no deadline unless the client sets one, which holds up to the maximum",
  async (startGateway) => {
    await using gateway = await startGateway({ defaultTimeoutMs: 50, maxTimeoutMs: 300, headerFlushMs: 10 });
    const long = await openStream(`${gateway.url}/test/v1/repeat/a?count=2&intervalMs=100`);
    assert.equal((await readAll(long)).text, `${item(0)}\n${item(1)}\n`);
    for (const timeout of ["100m", "5S"]) {
      const began = performance.now();
      const short = await openStream(`${gateway.url}/test/v1/repeat/a?count=1&intervalMs=60000`, {
        headers: { "grpc-timeout": timeout },
      });
      assert.match((await readAll(short)).text, /^\{"error":\{"code":4,.*\}\}\n$/);
      assert.ok(performance.now() - began < 5000);
    }
    await gateway.echo.until(({ aborted }) => aborted === 2);
  },
);
