import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Code, ConnectError, createClient as createConnectClient } from "@connectrpc/connect";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { restTransport, type RestTransportOptions } from "../../../src/entries/rest.ts";
import { createClient } from "../../../src/index.ts";
import { everyWay, type Gateway } from "../../support/gateway-fixture.ts";
import { startScriptedHttp, type ScriptedHttp } from "../../support/scripted-http.ts";

function clientOf(baseUrl: string, options: Partial<RestTransportOptions> = {}) {
  return createClient(EchoService, restTransport({ baseUrl, ...options }));
}

/** The messages of a stream until it ends, and the error that it ends with. */
async function all<T>(stream: AsyncIterable<T>): Promise<{ messages: T[]; error: ConnectError | undefined }> {
  const messages: T[] = [];
  try {
    for await (const message of stream) messages.push(message);
    return { messages, error: undefined };
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    return { messages, error };
  }
}

/** A value one turn of the event loop later. */
function turn<T>(value: T): Promise<T> {
  return new Promise((resolve) => setImmediate(() => resolve(value)));
}

async function* each<T>(...items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

for (const [way, start] of everyWay) {
  describe(`through our gateway, ${way}`, () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await start();
    });
    after(() => gateway[Symbol.asyncDispose]());

    test("a server stream, with its headers", async () => {
      let header: Headers | undefined;
      const { messages, error } = await all(
        clientOf(gateway.url).repeat(
          { text: "käse/😀", count: 5000, behaviour: { headers: { "x-head": "1" } } },
          { onHeader: (headers) => (header = headers) },
        ),
      );
      assert.equal(error, undefined);
      assert.deepEqual(
        messages.map(({ index }) => index),
        Array.from({ length: 5000 }, (_, index) => index),
      );
      assert.ok(messages.every(({ text }) => text === "käse/😀"));
      assert.equal(header?.get("x-head"), "1");
      assert.equal(header?.get("content-type"), "application/x-ndjson");
    });

    test("a stream of events, with its trailers", async () => {
      let trailer: Headers | undefined;
      const client = clientOf(gateway.url, { fetch: accepting("text/event-stream") });
      const { messages } = await all(
        client.repeat(
          { text: "a", count: 3, behaviour: { trailers: { "x-trail": "2" } } },
          { onTrailer: (headers) => (trailer = headers) },
        ),
      );
      assert.equal(messages.length, 3);
      assert.equal(trailer?.get("x-trail"), "2");
    });

    for (const type of ["application/x-ndjson", "text/event-stream", "application/json"]) {
      test(`an error before the first message and one after two, ${type}`, async () => {
        const client = clientOf(gateway.url, { fetch: accepting(type) });
        for (const after of [0, 2]) {
          const behaviour = { failure: { code: Code.DataLoss, message: "käse", reasons: ["R"], after } };
          const { messages, error } = await all(client.repeat({ text: "a", count: 9, behaviour }));
          if (type === "application/json" && after > 0) {
            // An array that fails late is cut off, so that no part is taken for the whole.
            assert.equal(error?.code, Code.Unavailable);
            continue;
          }
          assert.equal(messages.length, after);
          assert.deepEqual([error?.code, error?.rawMessage], [Code.DataLoss, "käse"]);
          assert.equal(error?.findDetails(ErrorInfoSchema)[0]?.reason, "R");
        }
      });
    }

    test("a client stream is sent as it comes", async () => {
      const before = gateway.echo.received;
      async function* texts() {
        yield { text: "a" };
        await gateway.echo.until(({ received }) => received > before);
        yield { text: "b" };
        yield { text: "käse" };
      }
      assert.deepEqual((await clientOf(gateway.url).collect(texts())).texts, ["a", "b", "käse"]);
      assert.deepEqual((await clientOf(gateway.url).collect(each())).texts, []);
    });

    test("an error while a client stream is sent, from either side", async () => {
      const failing = { code: Code.Aborted, message: "enough", after: 1 };
      const returned = Promise.withResolvers<void>();
      async function* endless() {
        try {
          for (;;) yield await turn({ text: "x", behaviour: { failure: failing } });
        } finally {
          returned.resolve();
        }
      }
      await assert.rejects(clientOf(gateway.url).collect(endless()), { code: Code.Aborted });
      await returned.promise;
      async function* broken(): AsyncGenerator<{ text: string }> {
        yield { text: "a" };
        throw new ConnectError("mine", Code.FailedPrecondition);
      }
      await assert.rejects(clientOf(gateway.url).collect(broken()), { code: Code.FailedPrecondition });
    });

    test("bidi is half duplex", async () => {
      const { messages, error } = await all(clientOf(gateway.url).chat(each({ text: "a" }, { text: "b" })));
      assert.equal(error, undefined);
      assert.deepEqual(
        messages.map(({ text, index }) => [text, index]),
        [
          ["a", 0],
          ["b", 1],
        ],
      );
    });

    for (const [kind, create] of [
      ["ours", createClient],
      ["Connect's", createConnectClient],
    ] as const) {
      test(`a signal ends the call in the server, client ${kind}`, async () => {
        const { aborted } = gateway.echo;
        const controller = new AbortController();
        const client = create(EchoService, restTransport({ baseUrl: gateway.url }));
        const options = { signal: controller.signal };
        const stream = client
          .repeat({ text: "a", count: 1e6, intervalMs: 1 }, options)
          [Symbol.asyncIterator]();
        await stream.next();
        controller.abort();
        await assert.rejects(
          async () => {
            while ((await stream.next()).done !== true);
          },
          { code: Code.Canceled },
        );
        await gateway.echo.until((echo) => echo.aborted > aborted);
      });
    }

    test("leaving the loop, and a deadline, end the call in the server", async () => {
      const { aborted } = gateway.echo;
      const client = clientOf(gateway.url);
      for await (const { index } of client.repeat({ text: "a", count: 1e6, intervalMs: 1 })) {
        if (index === 3) break;
      }
      await gateway.echo.until((echo) => echo.aborted > aborted);
      const { error } = await all(client.repeat({ text: "a", count: 1e6, intervalMs: 1 }, { timeoutMs: 50 }));
      assert.equal(error?.code, Code.DeadlineExceeded);
      await gateway.echo.until((echo) => echo.aborted > aborted + 1);
    });

    test("return() of the transport's own stream ends the call in the server", async () => {
      const { aborted } = gateway.echo;
      const transport = restTransport({ baseUrl: gateway.url });
      const method = EchoService.method.repeat;
      const input = each({ text: "a", count: 1e6, intervalMs: 1 });
      const { message } = await transport.stream(method, undefined, undefined, undefined, input);
      for await (const { index } of message) if (index === 1) break;
      await gateway.echo.until((echo) => echo.aborted > aborted);
    });

    test("a reader that is slow keeps the handler back", async () => {
      const before = gateway.echo.produced;
      const request = { text: "a", payload: new Uint8Array(100_000), count: 1000 };
      const stream = clientOf(gateway.url, { fallback: "rpc-path" }).repeat(request)[Symbol.asyncIterator]();
      await stream.next();
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.ok(gateway.echo.produced - before < 500, String(gateway.echo.produced - before));
      await stream.return?.();
    });
  });
}

/** `fetch` with another `Accept`. */
function accepting(type: string): typeof fetch {
  return (url, init) => {
    const headers = new Headers(init?.headers);
    headers.set("accept", type);
    return fetch(url, { ...init, headers });
  };
}

describe("streams of other servers", () => {
  let server: ScriptedHttp;
  before(async () => {
    server = await startScriptedHttp();
  });
  after(() => server[Symbol.asyncDispose]());

  /** Answers with these pieces, each in a packet of its own; a last piece `null` breaks the connection off. */
  function answer(type: string, ...pieces: (string | Uint8Array | null)[]): void {
    server.answer = (response) => {
      response.writeHead(200, { "content-type": type });
      const next = (): void => {
        const piece = pieces.shift();
        if (piece === undefined) response.end();
        else if (piece === null) response.destroy();
        else response.write(piece, () => setImmediate(next));
      };
      next();
    };
  }

  const texts = async (options?: Partial<RestTransportOptions>) => {
    const { messages, error } = await all(clientOf(server.url, options).repeat({ text: "a" }));
    return { texts: messages.map(({ text }) => text), code: error?.code, message: error?.rawMessage };
  };
  const fine = (...found: string[]) => ({ texts: found, code: undefined, message: undefined });
  const bytes = new TextEncoder();

  test("lines that are cut anywhere, with CR, empty ones, and without an end", async () => {
    const whole = bytes.encode('\ufeff{"text":"käse 😀"}\r\n\n \n{"text":"b\\n"}\n{"text":"c"}');
    for (let size = 1; size <= whole.length; size += 3) {
      const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
        whole.subarray(index * size, (index + 1) * size),
      );
      answer("application/x-ndjson", ...pieces);
      assert.deepEqual(await texts(), fine("käse 😀", "b\n", "c"));
    }
  });

  test("K19: lines that end inside a line or a character", async () => {
    const line = bytes.encode('{"text":"a"}\n{"text":"kä"}');
    answer("application/x-ndjson", line.subarray(0, 20));
    assert.deepEqual(await texts(), {
      texts: ["a"],
      code: Code.Internal,
      message: "the server's reply is no JSON",
    });
    answer("application/x-ndjson", line.subarray(0, 24));
    assert.equal((await texts()).code, Code.Internal);
    for (const end of [13, 20, 24, line.length]) {
      answer("application/x-ndjson", line.subarray(0, end), null);
      const { texts: found, code } = await texts();
      assert.deepEqual(found, ["a"]);
      assert.equal(code, Code.Unavailable);
    }
  });

  test("K19: a page, an error page, a redirect and 204 in place of a stream", async () => {
    answer("text/html", "<html>secret</html>");
    assert.deepEqual(await texts(), {
      texts: [],
      code: Code.Internal,
      message: "the server's reply is no JSON",
    });
    for (const [status, code] of [
      [500, Code.Internal],
      [302, Code.Unknown],
      [503, Code.Unavailable],
    ] as const) {
      server.answer = (response) => response.writeHead(status, { location: "/x" }).end("<html>secret</html>");
      assert.deepEqual(await texts(), { texts: [], code, message: `HTTP status ${status}` });
    }
    server.answer = (response) => response.writeHead(204).end();
    assert.deepEqual(await texts(), fine());
  });

  test("arrays, as other gateways have streams, cut anywhere", async () => {
    const whole = bytes.encode(' [ {"text":"a,]}\\""} ,\n{"text":"b","more":[[1,{}],"["]},{"text":"😀"}]\n');
    for (let size = 1; size <= whole.length; size += 4) {
      const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
        whole.subarray(index * size, (index + 1) * size),
      );
      answer("application/json; charset=utf-8", ...pieces);
      assert.deepEqual(await texts(), fine('a,]}"', "b", "😀"));
    }
    answer("application/json", "[]");
    assert.deepEqual(await texts(), fine());
    answer("application/json", '[{"text":"a"},{"te');
    assert.deepEqual((await texts()).code, Code.Internal);
    answer("application/json", '[{"text":"a"},{"error":{"code":5,"message":"m"}}]');
    assert.deepEqual(await texts(), { texts: ["a"], code: Code.NotFound, message: "m" });
  });

  test("events, cut anywhere, with every kind of line", async () => {
    const whole = bytes.encode(
      [
        ': hello\n\nretry: 10\n\nid: 1\r\nevent: message\r\ndata: {"text":\r\ndata: "kä 😀"}\r\n\r\n',
        'data:{"text":"b"}\rdata\r\r: ping\n\nevent: end\ndata: {"trailers":{}}\n\n',
      ].join(""),
    );
    for (let size = 1; size <= whole.length; size += 5) {
      const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, index) =>
        whole.subarray(index * size, (index + 1) * size),
      );
      answer("text/event-stream", ...pieces);
      assert.deepEqual(await texts(), fine("kä 😀", "b"));
    }
    answer("text/event-stream", 'data: {"text":"a"}\n\ndata: {"text"');
    assert.deepEqual((await texts()).code, Code.Internal);
    answer("text/event-stream", 'data: {"text":"a"}\n\nevent: error\ndata: {"code":9,"message":"m"}\n\n');
    assert.deepEqual(await texts(), { texts: ["a"], code: Code.FailedPrecondition, message: "m" });
  });

  test("grpc-gateway's lines", async () => {
    const compat = "grpc-gateway";
    answer("application/json", '{"result":{"text":"a"}}\n{"result":{}}\n');
    assert.deepEqual(await texts({ compat }), fine("a", ""));
    answer("application/json", '{"result":{"text":"a"}}\n{"error":{"code":5,"message":"m","details":[]}}\n');
    assert.deepEqual(await texts({ compat }), { texts: ["a"], code: Code.NotFound, message: "m" });
  });

  test("a message over the limit is RESOURCE_EXHAUSTED, as soon as it is", async () => {
    const maxMessageBytes = 50;
    const fits = JSON.stringify({ text: "x".repeat(39) });
    const large = JSON.stringify({ text: "x".repeat(40) });
    for (const [type, good, bad] of [
      ["application/x-ndjson", `${fits}\n`, large],
      ["application/json", `[${fits}`, `,${large}`],
    ] as const) {
      server.answer = (response) => void response.writeHead(200, { "content-type": type }).write(good + bad);
      const { texts: found, code } = await texts({ maxMessageBytes });
      assert.deepEqual([found.length, code], [1, Code.ResourceExhausted], type);
    }
    const event = `data: ${"x".repeat(60)}\n`;
    server.answer = (response) =>
      void response
        .writeHead(200, { "content-type": "text/event-stream" })
        .write(`data: ${fits}\n\n${event.repeat(3)}`);
    assert.deepEqual((await texts({ maxMessageBytes })).code, Code.ResourceExhausted);
  });

  test("a line of 4 MB in pieces of 1 KB, and a million empty lines, take time in line with their length", async () => {
    const line = Buffer.from(`${JSON.stringify({ text: "x".repeat(4_000_000) })}\n`);
    server.answer = (response) => {
      for (let at = 0; at < line.length; at += 1000) response.write(line.subarray(at, at + 1000));
      response.end("\n".repeat(1_000_000));
    };
    const { messages, error } = await all(clientOf(server.url).repeat({ text: "a" }, { timeoutMs: 10_000 }));
    assert.equal(error, undefined);
    assert.equal(messages[0]?.text.length, 4_000_000);
  });
});

describe("where fetch has no streams of requests, as in browsers", () => {
  let gateway: Gateway;
  let versions: PropertyDescriptor | undefined;
  before(async () => {
    const [[, start]] = everyWay as [(typeof everyWay)[0]];
    gateway = await start();
  });
  after(() => gateway[Symbol.asyncDispose]());

  /** Runs with `process` as browsers have it, up to the request. */
  async function asBrowser<T>(run: () => Promise<T>): Promise<T> {
    versions = Object.getOwnPropertyDescriptor(process, "versions");
    Object.defineProperty(process, "versions", { value: {}, configurable: true });
    try {
      return await run();
    } finally {
      if (versions !== undefined) Object.defineProperty(process, "versions", versions);
    }
  }

  test("a client stream is gathered, up to the limit", async () => {
    const bodies: unknown[] = [];
    const watching: typeof fetch = (url, init) => {
      bodies.push(init?.body);
      return fetch(url, init);
    };
    const client = clientOf(gateway.url, { fetch: watching, maxMessageBytes: 100 });
    const { texts } = await asBrowser(() => client.collect(each({ text: "a" }, { text: "b" })));
    assert.deepEqual(texts, ["a", "b"]);
    assert.ok(bodies[0] instanceof Uint8Array);
    const long = each(...Array.from({ length: 20 }, () => ({ text: "0123456789" })));
    await assert.rejects(
      asBrowser(() => client.collect(long)),
      { code: Code.ResourceExhausted },
    );
  });

  test("bidi is UNIMPLEMENTED, and the text names WebSocket", async () => {
    const { error } = await asBrowser(() => all(clientOf(gateway.url).chat(each({ text: "a" }))));
    assert.equal(error?.code, Code.Unimplemented);
    assert.match(error?.message ?? "", /WebSocket/);
  });
});
