/** Requests as they are on the wire: rules 47, 49 and 50, and faults F11, F12 and F17. */
import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { HttpServer } from "../../../src/index.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { mcp } from "../../../src/entries/mcp.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { connectTo, exchangeBytes, readUntil, statusOf } from "../../support/gateway-fixture.ts";
import { Echo } from "../../support/echo-service.ts";
import { within } from "../websocket/socket-client.ts";
import { McpHost, modernMeta, type ToolResult } from "./mcp-host.ts";

const echo = new Echo();
const metrics = new Metrics({ processMetrics: false });
let host: McpHost;
before(async () => {
  host = await McpHost.of(
    [echo],
    { expose: "all", name: "echo", maxListeners: 3 },
    { httpObservers: [metrics], observers: [metrics], allowedOrigins: ["https://app.example.com"] },
  );
});
after(() => host[Symbol.asyncDispose]());

const modern = { "mcp-protocol-version": "2026-07-28" };
const call = (params: object, method = "tools/call", id: unknown = 1): string =>
  JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta: modernMeta } });

/** The messages of the result of a stream. */
function messagesOf({ structuredContent }: ToolResult): readonly { readonly text?: string }[] {
  const messages = structuredContent?.["messages"];
  assert.ok(Array.isArray(messages));
  return messages as readonly { readonly text?: string }[]; // Every reply of the echo has it.
}

describe("versions", () => {
  test("initialize gets the version that it asks for, and the newest of the old ones for another", async () => {
    for (const [asked, expected] of [
      ["2025-11-25", "2025-11-25"],
      ["2025-06-18", "2025-06-18"],
      ["2024-11-05", "2025-11-25"],
      ["1999-01-01", "2025-11-25"],
    ]) {
      const body = { jsonrpc: "2.0", id: 1, method: "initialize", params: { protocolVersion: asked } };
      const { status, json, headers } = await host.send(JSON.stringify(body));
      assert.equal(status, 200);
      assert.equal(json.result?.["protocolVersion"], expected);
      assert.equal(headers.get("mcp-session-id"), null);
    }
  });

  test("old clients are told by their version alone", async () => {
    const { status, json } = await host.askOld("ping");
    assert.deepEqual([status, json], [200, { jsonrpc: "2.0", id: "a", result: {} }]);
    const { json: listed } = await host.askOld("tools/list");
    assert.equal(listed.result?.["resultType"], undefined);
    assert.equal(listed.result?.["ttlMs"], undefined);
  });

  test("discover names versions, capabilities and the server", async () => {
    const { json } = await host.ask("server/discover");
    assert.deepEqual(json.result, {
      supportedVersions: ["2026-07-28", "2025-11-25", "2025-06-18"],
      capabilities: { tools: { listChanged: true }, resources: { listChanged: true } },
      ttlMs: 60_000,
      cacheScope: "public",
      resultType: "complete",
      _meta: { "io.modelcontextprotocol/serverInfo": { name: "echo", version: "0.0.0" } },
    });
  });

  for (const [name, headers, params, code, status] of [
    ["no version at all", {}, {}, -32_020, 400],
    ["no header", {}, { _meta: modernMeta }, -32_020, 400],
    ["an unknown version", { "mcp-protocol-version": "2027-01-01" }, {}, -32_022, 400],
    ["no version in _meta", { ...modern, "mcp-method": "tools/list" }, {}, -32_602, 400],
    [
      "two versions",
      { ...modern, "mcp-method": "tools/list" },
      { _meta: { ...modernMeta, "io.modelcontextprotocol/protocolVersion": "2025-11-25" } },
      -32_020,
      400,
    ],
    [
      "no capabilities",
      { ...modern, "mcp-method": "tools/list" },
      { _meta: { "io.modelcontextprotocol/protocolVersion": "2026-07-28" } },
      -32_602,
      400,
    ],
    ["no Mcp-Method", modern, { _meta: modernMeta }, -32_020, 400],
    ["another Mcp-Method", { ...modern, "mcp-method": "ping" }, { _meta: modernMeta }, -32_020, 400],
  ] as const) {
    test(`a request with ${name} is ${code}`, async () => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/list", params });
      const answer = await host.send(body, headers);
      assert.deepEqual([answer.status, answer.json.error?.code, answer.json.id], [status, code, 7]);
      if (code === -32_022) {
        assert.deepEqual(answer.json.error?.data, {
          supported: ["2026-07-28", "2025-11-25", "2025-06-18"],
          requested: "2027-01-01",
        });
      }
    });
  }

  test("Mcp-Name is compared when its base64 is decoded", async () => {
    const body = call({ name: "echo", arguments: {} });
    const headers = { ...modern, "mcp-method": "tools/call" };
    const base64 = `=?base64?${Buffer.from("echo").toString("base64")}?=`;
    assert.equal((await host.send(body, { ...headers, "mcp-name": base64 })).status, 200);
    for (const name of [undefined, "other", "=?base64?%%?=", "=?base64?ZWNobw?=", "=?base64?ZWNobw=="]) {
      const { status, json } = await host.send(body, {
        ...headers,
        ...(name !== undefined && { "mcp-name": name }),
      });
      assert.deepEqual([status, json.error?.code], [400, -32_020]);
    }
  });
});

describe("requests", () => {
  for (const [name, body, code] of [
    ["a batch", "[]", -32_600],
    ["no object", "3", -32_600],
    ["no JSON", "{", -32_700],
    ["another version of JSON-RPC", '{"jsonrpc":"1.0","id":1,"method":"ping"}', -32_600],
    ["an id that is none", '{"jsonrpc":"2.0","id":{},"method":"ping"}', -32_600],
    ["no method", '{"jsonrpc":"2.0","id":1}', -32_600],
    ["parameters that are none", '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32_602],
  ] as const) {
    test(`${name} is ${code}`, async () => {
      const { status, json } = await host.send(body, { "mcp-protocol-version": "2025-11-25" });
      assert.deepEqual([status, json.error?.code], [400, code]);
    });
  }

  test("ids come back as they came", async () => {
    for (const id of ['"a\\u0000b"', "9007199254740993", "-1"]) {
      const body = `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
      const { text } = await host.send(body, { "mcp-protocol-version": "2025-11-25" });
      assert.equal(text, `{"jsonrpc":"2.0","id":${id},"result":{}}`);
    }
  });

  test("GET and DELETE are 405, notifications 202, unknown methods 404", async () => {
    for (const method of ["GET", "DELETE"]) assert.equal((await host.send("", {}, method)).status, 405);
    const note = { jsonrpc: "2.0", method: "notifications/initialized" };
    const { status, text } = await host.send(JSON.stringify(note), { "mcp-protocol-version": "2025-11-25" });
    assert.deepEqual([status, text], [202, ""]);
    const unknown = await host.ask("prompts/list");
    assert.deepEqual([unknown.status, unknown.json.error?.code], [404, -32_601]);
    const old = await host.askOld("server/discover");
    assert.deepEqual([old.status, old.json.error?.code], [200, -32_601]);
  });

  test("sessions and events that were missed are ignored", async () => {
    const { status } = await host.ask("tools/list", {}, { "mcp-session-id": "x", "last-event-id": "3" });
    assert.equal(status, 200);
  });
});

describe("F11 hostile requests", () => {
  test("F11 a foreign Host, on a loopback address, is 403", async () => {
    const body = call({ name: "echo" });
    const head = `POST /mcp HTTP/1.1\r\nhost: evil.example.com\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
    assert.equal(statusOf(await exchangeBytes(host.port, head + body)), 403);
  });

  test("F11 a foreign Origin is 403, one of the server or of its list is served", async () => {
    for (const [origin, status] of [
      ["https://evil.example.com", 403],
      ["null", 403],
      [`http://127.0.0.1:${host.port}`, 200],
      ["https://app.example.com", 200],
    ] as const) {
      const { calls } = echo;
      assert.equal((await host.ask("tools/call", { name: "echo" }, { origin })).status, status, origin);
      assert.equal(echo.calls - calls, status === 200 ? 1 : 0);
    }
  });

  test("F11 a name of a MiB and 100,000 nested arrays are 400", async () => {
    const name = "x".repeat(1 << 20);
    const long = await host.send(call({ name }), { ...modern, "mcp-method": "tools/call", "mcp-name": "x" });
    assert.equal(long.status, 400);
    const old = await host.askOld("tools/call", { name });
    assert.equal(old.status, 400);
    assert.ok(old.text.length < 1000);
    const nested = `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":${"[".repeat(100_000)}${"]".repeat(100_000)}}}`;
    assert.equal((await host.send(nested, { "mcp-protocol-version": "2025-11-25" })).status, 400);
  });

  test("F11 __proto__, unknown names and names twice are refused, large numbers are exact", async () => {
    const { calls } = echo;
    const of = async (args: string): Promise<string> => {
      const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":${args}}}`;
      return (await host.send(body, { "mcp-protocol-version": "2025-11-25" })).text;
    };
    assert.match(await of('{"__proto__":{"text":"a"}}'), /INVALID_ARGUMENT: unknown field/);
    assert.match(await of('{"texts":"a"}'), /did you mean text\?/);
    assert.match(await of('{"behaviour":{"sleepMss":1}}'), /behaviour.sleepMss: .*did you mean sleepMs\?/);
    assert.match(await of('{"text":"a","text":"b"}'), /"error":\{"code":-32700/);
    assert.equal(echo.calls, calls);
    assert.match(await of('{"number":"9007199254740993"}'), /"number":"9007199254740993"/);
    assert.match(await of('{"number":9007199254740993}'), /"number":"9007199254740993"/);
  });

  test("F17 a form is 415, and no call is made", async () => {
    const { calls } = echo;
    for (const type of ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]) {
      assert.equal((await host.send("a=b", { "content-type": type })).status, 415);
    }
    assert.equal(echo.calls, calls);
  });
});

describe("tools", () => {
  test("a reply is structured content, and its text", async () => {
    const result = await host.call("echo", { text: "ä", payload: "AP8=" });
    assert.equal(result.structuredContent?.["text"], "ä");
    assert.deepEqual(JSON.parse(result.content[0]?.text ?? ""), result.structuredContent);
    assert.equal(result.structuredContent?.["protocol"], "mcp");
  });

  test("an error of an rpc is a result, with its status", async () => {
    const failure = { code: 5, message: "gone", reasons: ["A"] };
    const result = await host.call("echo", { behaviour: { failure } });
    assert.equal(result.isError, true);
    assert.equal(result.content[0]?.text, "NOT_FOUND: gone");
    const status = result._meta?.["ts-ms/status"] as { code: number; details: unknown[] };
    assert.equal(status.code, 5);
    assert.equal(status.details.length, 1);
  });

  test("an unknown tool is -32602, arguments that are no object too", async () => {
    const { status, json } = await host.ask("tools/call", { name: "ecko" });
    assert.deepEqual([status, json.error?.code], [200, -32_602]);
    assert.match(json.error?.message ?? "", /did you mean echo\?/);
    const wrong = await host.ask("tools/call", { name: "echo", arguments: [] });
    assert.deepEqual([wrong.status, wrong.json.error?.code], [400, -32_602]);
  });

  test("streams end with their messages, or say that there are more", async () => {
    const all = await host.call("repeat", { text: "a", count: 3 });
    assert.deepEqual(all.structuredContent?.["more"], false);
    assert.equal(messagesOf(all).length, 3);
    const { aborted } = echo;
    const many = await host.call("repeat", { text: "a", count: 200, intervalMs: 1 });
    assert.equal(messagesOf(many).length, 100);
    assert.equal(many.structuredContent?.["more"], true);
    await within(
      echo.until((now) => now.aborted > aborted),
      "the cancellation",
    );
  });

  test("streams of requests take messages", async () => {
    const { structuredContent } = await host.call("collect", { messages: [{ text: "a" }, { text: "b" }] });
    assert.deepEqual(structuredContent?.["texts"], ["a", "b"]);
    const chat = await host.call("chat", { messages: [{ text: "a" }, { text: "b" }] });
    assert.deepEqual(
      messagesOf(chat).map(({ text }) => text),
      ["a", "b"],
    );
    const wrong = await host.call("collect", { message: [] });
    assert.match(wrong.content[0]?.text ?? "", /did you mean messages\?/);
  });

  test("a result above the limit says by which fields to ask for less", async () => {
    const result = await host.call("echo", { text: "x".repeat(300_000) });
    assert.equal(result.isError, true);
    assert.match(result.content[0]?.text ?? "", /the result has \d+ bytes, more than the 262144/);
  });

  test("with a progress token the messages of a stream are counted in events", async () => {
    const { headers, text } = await host.ask("tools/call", {
      name: "repeat",
      arguments: { text: "a", count: 3 },
      _meta: { progressToken: "p" },
    });
    assert.equal(headers.get("content-type"), "text/event-stream");
    const messages = text
      .trim()
      .split("\n\n")
      .map(
        (event) =>
          JSON.parse(event.split("\ndata: ")[1] ?? "") as { params?: { progress: number }; id?: number },
      );
    assert.deepEqual(
      messages.map(({ params, id }) => params?.progress ?? id),
      [1, 2, 3, 1],
    );
  });

  test("a name of a tool in the header alone brings no events", async () => {
    const params = { name: "repeat", arguments: { text: "a", count: 1 }, _meta: { progressToken: 1 } };
    const { status, json } = await host.ask("tools/call", params, { "mcp-name": "echo" });
    assert.deepEqual([status, json.error?.code], [400, -32_020]);
  });

  test("requests and calls are counted", async () => {
    const page = await metrics.page();
    assert.match(page, /ts_ms_calls_refused_total\{[^}]*protocol="mcp",reason="malformed"\} [1-9]/);
    assert.match(page, /ts_ms_mcp_requests_total\{method="tools\/call",outcome="ok"\} [1-9]/);
    assert.match(page, /ts_ms_mcp_requests_total\{method="tools\/call",outcome="failed"\} [1-9]/);
    assert.match(page, /ts_ms_mcp_requests_total\{method="other",outcome="refused"\} [1-9]/);
    assert.match(page, /ts_ms_calls_finished_total\{[^}]*protocol="mcp"[^}]*\} [1-9]/);
  });
});

describe("subscriptions", () => {
  /** Opens one; resolves with its raw answer so far. */
  async function open(id: string, notifications: object) {
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id,
      method: "subscriptions/listen",
      params: { notifications, _meta: modernMeta },
    });
    const socket = await connectTo(host.port);
    socket.write(
      `POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: subscriptions/listen\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    );
    return socket;
  }

  test("F12 as many listen as may, the next is refused and the others live", async () => {
    const sockets = await Promise.all([1, 2, 3].map((id) => open(`l${id}`, { toolsListChanged: true })));
    const texts = sockets.map(() => "");
    const acknowledged = sockets.map(
      (socket, at) =>
        new Promise<void>((resolve) => {
          socket.on("data", (chunk: Buffer) => {
            texts[at] += chunk.toString();
            if (texts[at]?.includes("acknowledged") === true) resolve();
          });
        }),
    );
    await within(Promise.all(acknowledged), "the acknowledgements");
    assert.match(texts[0] ?? "", /subscriptionId":"l1"\},"notifications":\{"toolsListChanged":true\}/);
    const refused = await readUntil(await open("l4", {}), (answer) => answer.includes("-32603"), 5000);
    assert.equal(statusOf(refused), 503);
    const notified = sockets.map(
      (socket, at) =>
        new Promise<void>((resolve) => {
          socket.on("data", () => {
            if (texts[at]?.includes("notifications/tools/list_changed") === true) resolve();
          });
        }),
    );
    host.http.replaceServices([]);
    host.http.replaceServices([EchoService]);
    await within(Promise.all(notified), "the notifications");
    for (const socket of sockets) socket.destroy();
  });
});

test("what is answered whole takes the fast lane, as REST does beside the face; events do not", async () => {
  const lanes: unknown[] = [];
  {
    await using own = await McpHost.of(
      [echo],
      { expose: "all", path: "/tools" },
      { httpObservers: [{ httpRequest: (_route, _method, _status, _seconds, lane) => lanes.push(lane) }] },
    );
    const rest = await fetch(new URL("/test/v1/echo", own.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"text":"a"}',
    });
    assert.equal(rest.status, 200);
    await rest.text();
    await own.ask("tools/list");
    await own.call("echo", { text: "a" });
    await own.ask("tools/call", { name: "echo" }, { "mcp-name": "collect" });
    const { headers } = await own.ask("tools/call", {
      name: "repeat",
      arguments: { text: "a", count: 1 },
      _meta: { progressToken: 1 },
    });
    assert.equal(headers.get("content-type"), "text/event-stream");
  }
  assert.deepEqual(lanes, ["fast", "fast", "fast", "fast", "node"]);
});

test("F06 what a face cannot derive leaves everything as it was", async () => {
  const grpc = new GrpcServer({ listen: false, logger: false }).addService(new Echo());
  const face = mcp({ services: ["tsms.test.v1.EchoService"], expose: "all" });
  await using http = new HttpServer({ port: 0, upstream: grpc, faces: [face], logger: false });
  http.addService(EchoService);
  await http.start();
  assert.throws(
    () => http.replaceServices([]),
    /mcp: services: there is no service tsms.test.v1.EchoService/,
  );
  const url = `http://127.0.0.1:${http.address?.port}/mcp`;
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
  const headers = { "content-type": "application/json", "mcp-protocol-version": "2025-11-25" };
  const answer = await fetch(url, { method: "POST", headers, body });
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /"name":"echo"/);
});

test("F08 a client that leaves cancels its call within 200 ms", async () => {
  const body = call({ name: "echo", arguments: { behaviour: { sleepMs: 60_000 } } });
  const headers = {
    ...{ "content-type": "application/json", ...modern },
    ...{ "mcp-method": "tools/call", "mcp-name": "echo" },
  };
  let leastMs = Number.POSITIVE_INFINITY;
  // Other programs make it longer, none makes it shorter.
  for (let time = 0; time < 5 && leastMs > 200; time++) {
    const { calls, aborted } = echo;
    const leaving = new AbortController();
    const asked = fetch(host.url, { method: "POST", signal: leaving.signal, body, headers });
    await within(
      echo.until((now) => now.calls > calls),
      "the call",
    );
    const leftAt = performance.now();
    leaving.abort();
    await assert.rejects(asked);
    await within(
      echo.until((now) => now.aborted > aborted),
      "the cancellation",
    );
    leastMs = Math.min(leastMs, performance.now() - leftAt);
  }
  assert.ok(leastMs <= 200, `${leastMs} ms`);
});

test("F12 a client that reads nothing of a large answer is cut, and others are served", async () => {
  const { promise: ended, resolve } = Promise.withResolvers<number>();
  await using own = await McpHost.of(
    [new Echo()],
    { expose: "all", maxResultBytes: 64 * 1024 * 1024 },
    { writeIdleMs: 300, httpObservers: [{ httpRequest: (_route, _method, status) => resolve(status) }] },
  );
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: {
      name: "repeat",
      arguments: { text: "a".repeat(512 * 1024), count: 20 },
      _meta: { ...modernMeta, progressToken: 1 },
    },
  });
  const socket = (await connectTo(own.port)).pause();
  socket.write(
    `POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: repeat\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  assert.equal(await within(ended, "the end of the request"), 499);
  assert.equal((await own.call("echo", { text: "b" })).structuredContent?.["text"], "b");
  socket.destroy();
});

test("F16 a stop ends listeners with their result, and calls within the grace", async () => {
  const slow = new Echo();
  const stopping = await McpHost.of([slow], { expose: "all" });
  const listening = stopping.ask("subscriptions/listen", { notifications: { toolsListChanged: true } });
  const short = stopping.call("echo", { text: "short", behaviour: { sleepMs: 100 } });
  const stream = stopping.call("repeat", { text: "a", count: 90, intervalMs: 1000 });
  await within(
    slow.until(({ calls }) => calls === 2),
    "the calls",
  );
  const report = await stopping.http.gracefulStop({ graceMs: 1500 });
  const { text, status } = await listening;
  assert.equal(status, 200);
  assert.match(
    text,
    /"result":\{"resultType":"complete","_meta":\{.*"io.modelcontextprotocol\/subscriptionId":1/,
  );
  assert.equal((await short).structuredContent?.["text"], "short");
  assert.match((await stream).content[0]?.text ?? "", /^UNAVAILABLE: /);
  assert.deepEqual(report.cut, []);
});
