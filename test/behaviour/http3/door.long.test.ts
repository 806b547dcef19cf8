/** HTTP/3 in the process, seen by aioquic (edge rules 46 to 50). */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { pythonPackages } from "../../../conformance/python-packages.ts";
import { createCertificate } from "../../support/certificates.ts";
import {
  fieldOf,
  http3Script,
  onlyAnswer,
  type ScriptedRequest,
  type ScriptStep,
} from "../../support/http3-client.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { startHttp3 } from "./http3-fixture.ts";

const env = await pythonPackages("aioquic==1.3.0");
const json = [["content-type", "application/json"]] as const;
const echo: ScriptedRequest = { method: "POST", path: "/test/v1/echo", headers: json, body: '{"text":"hi"}' };
const ask = async (port: number, request: ScriptedRequest) =>
  onlyAnswer(await http3Script(env, port, [{ steps: [{ ask: request }] }]));
const textOf = (body: string): unknown => (JSON.parse(body) as { text?: string }).text; // The echo's reply.

suite("requests over HTTP/3 (edge rule 46):", () => {
  test("REST, its errors, its streams and Connect are those of the gateway", async () => {
    await using gateway = await startHttp3();
    const events = [["accept", "text/event-stream"]] as const;
    const connectUnary = [...json, ["connect-protocol-version", "1"]] as const;
    const requests: ScriptedRequest[] = [
      echo,
      { path: "/test/v1/echo/x" },
      { path: "/nowhere" },
      { ...echo, body: "{" },
      { path: "/healthz" },
      { ...echo, path: "/tsms.test.v1.EchoService/Echo", headers: connectUnary },
      { path: "/test/v1/repeat/x?count=3", headers: events },
      { ...echo, headers: [["content-type", "text/plain"]] },
    ];
    const [outcome] = await http3Script(env, gateway.udpPort, [
      { steps: requests.map((request) => ({ ask: request })) },
    ]);
    const answers = outcome?.results ?? [];
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 404, 400, 200, 200, 200, 415],
    );
    assert.deepEqual([textOf(answers[0]?.body ?? ""), textOf(answers[5]?.body ?? "")], ["hi", "hi"]);
    const stream = answers[6];
    assert.ok(stream !== undefined);
    assert.equal(fieldOf(stream, "content-type"), "text/event-stream");
    for (const answer of answers) {
      for (const name of ["connection", "keep-alive", "transfer-encoding", "upgrade"]) {
        assert.equal(fieldOf(answer, name), undefined);
      }
    }
  });

  test("hooks, routes and plugins of Fastify serve it like any other version of HTTP", async () => {
    await using gateway = await startHttp3({}, {}, [], ({ fastify }) => {
      fastify.addHook("onRequest", async ({ ip, protocol, raw }, reply) => {
        void reply.header("x-seen", `${ip} ${protocol} ${raw.httpVersion}`);
      });
      fastify.post("/own", async (request) => ({ got: request.body }));
    });
    const [outcome] = await http3Script(env, gateway.udpPort, [
      { steps: [{ ask: echo }, { ask: { ...echo, path: "/own" } }] },
    ]);
    const [rpc, own] = outcome?.results ?? [];
    assert.ok(rpc !== undefined && own !== undefined);
    assert.deepEqual([rpc.status, own.status], [200, 200]);
    assert.deepEqual(JSON.parse(own.body), { got: { text: "hi" } });
    assert.equal(fieldOf(rpc, "x-seen"), "127.0.0.1 https 3.0");
  });

  test("malformed requests are H3_MESSAGE_ERROR, and the connection serves on", async () => {
    await using gateway = await startHttp3();
    const head = [
      [":method", "GET"],
      [":scheme", "https"],
      [":authority", "localhost"],
      [":path", "/test/v1/echo/x"],
    ] as const;
    const bad: (readonly (readonly [string, string])[])[] = [
      ...["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].map(
        (name) => [...head, [name, "x"]] as const,
      ),
      [...head, ["te", "gzip"]],
      [...head, ["Upper", "x"]],
      [...head, ["content-length", "5"]],
      [...head, [":path", "/other"]],
      [["a", "b"], ...head],
      head.slice(1),
      head.slice(0, 3),
    ];
    const steps: ScriptStep[] = [...bad.map((fields) => ({ ask: { fields } })), { ask: echo }];
    const [outcome] = await http3Script(env, gateway.udpPort, [{ steps }]);
    const answers = outcome?.results ?? [];
    assert.deepEqual(
      answers.map(({ status, reset }) => reset ?? status),
      [...bad.map(() => 0x10e), 200],
    );
    assert.equal(gateway.echo.calls, 1);
  });

  test("another :authority than host is 400, a foreign host 421, a long target 414", async () => {
    await using gateway = await startHttp3({ allowedHosts: ["localhost"], maxUrlBytes: 1000 });
    const two = { ...echo, headers: [...json, ["host", "other"]] } as const;
    const fields = [":method,GET", ":scheme,https", ":authority,evil.example", ":path,/healthz"].map(
      (line) => {
        const [name = "", value = ""] = line.split(",");
        return [name, value] as const;
      },
    );
    const steps = [{ ask: two }, { ask: { fields } }, { ask: { path: `/${"a".repeat(1001)}` } }];
    const [outcome] = await http3Script(env, gateway.udpPort, [{ steps }]);
    assert.deepEqual(
      outcome?.results.map(({ status }) => status),
      [400, 421, 414],
    );
  });

  test("bodies above the limit are 413, and a body that is shorter than it says ends the request", async () => {
    await using gateway = await startHttp3({ maxBodyBytes: 1000 });
    const long = { ...echo, body: JSON.stringify({ text: "x".repeat(2000) }) };
    const short = { ...echo, headers: [...json, ["content-length", "99"]] as const };
    const [outcome] = await http3Script(env, gateway.udpPort, [
      { steps: [{ ask: long }, { ask: short }, { ask: echo }] },
    ]);
    const [first, second, third] = outcome?.results ?? [];
    assert.deepEqual([first?.status, second?.reset, third?.status], [413, 0x10e, 200]);
  });

  test("trailers are sent to clients that say `te: trailers`", async () => {
    await using gateway = await startHttp3();
    const request = {
      ...echo,
      headers: [...json, ["te", "trailers"]] as const,
      body: JSON.stringify({ text: "hi", behaviour: { trailers: { "x-end": "1" } } }),
    };
    const answer = await ask(gateway.udpPort, request);
    assert.equal(answer.status, 200, answer.body);
    assert.ok(answer.trailers.length > 0, JSON.stringify(answer));
  });

  test("a request body comes in parts, and an answer of 300 kB comes whole", async () => {
    await using gateway = await startHttp3();
    const parts = [
      [0.05, '{"text":'],
      [0.05, '"hi"'],
      [0.05, "}"],
    ] as const;
    const { body: _, ...rest } = echo;
    const inParts = await ask(gateway.udpPort, { ...rest, chunks: parts });
    assert.deepEqual([inParts.status, textOf(inParts.body)], [200, "hi"]);
    const text = "x".repeat(300_000);
    const large = await ask(gateway.udpPort, { ...echo, body: JSON.stringify({ text }) });
    assert.deepEqual([large.status, large.gone], [200, undefined]);
    assert.ok(large.length > text.length);
  });

  test("a client that breaks off its request cancels the call", async () => {
    await using gateway = await startHttp3();
    const stream: ScriptedRequest = {
      method: "POST",
      path: "/test/v1/collect",
      headers: [["content-type", "application/x-ndjson"]],
      body: '{"text":"a"}\n',
      open: true,
    };
    const steps: ScriptStep[] = [
      { start: stream },
      { sleep: 0.3 },
      { cancel: 0 },
      { sleep: 0.5 },
      { ask: echo },
    ];
    const [outcome] = await http3Script(env, gateway.udpPort, [{ steps }]);
    assert.equal(outcome?.results[0]?.status, 200);
    assert.equal(gateway.http.connectionCounts.active, 0);
  });
});

suite("connections of HTTP/3 (edge rules 48, 49):", () => {
  test("a silent stream outlives the idle time by pings, a connection without a request does not", async () => {
    await using gateway = await startHttp3({}, { maxIdleTimeoutMs: 1000, keepAlivePeriodMs: 300 });
    const slow = { ...echo, body: JSON.stringify({ text: "hi", behaviour: { sleepMs: 3000 } }) };
    const [held, idle] = await http3Script(env, gateway.udpPort, [
      { steps: [{ ask: slow }] },
      { steps: [{ ask: echo }, { sleep: 5 }, { ask: echo }] },
    ]);
    assert.equal(held?.results[0]?.status, 200);
    assert.equal(idle?.results[0]?.status, 200);
    assert.notEqual(idle?.results[1]?.status, 200);
  });

  test("requests under way end when the server stops, later ones are told to go elsewhere", async () => {
    const gateway = await startHttp3();
    const slow = { ...echo, body: JSON.stringify({ text: "hi", behaviour: { sleepMs: 1500 } }) };
    const steps: ScriptStep[] = [{ start: slow }, { sleep: 1 }, { ask: echo }, { finish: 0 }];
    const script = http3Script(env, gateway.udpPort, [{ steps }]);
    while (gateway.echo.calls === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const report = await gateway.http.gracefulStop({ graceMs: 5000 });
    const [outcome] = await script;
    const [late, first] = outcome?.results ?? [];
    assert.deepEqual([late?.reset, first?.status], [0x10b, 200]);
    assert.deepEqual([report.finished, report.cut], [1, []]);
  });

  test("certificates that change on disk are used by the next connection, at the same port", async () => {
    await using files = await TemporaryFiles.create();
    const write = async (): Promise<string> => {
      const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost", "127.0.0.1"] });
      await files.write("key.pem", key);
      await files.write("cert.pem", cert);
      return cert;
    };
    await write();
    const changed = Promise.withResolvers<void>();
    const tls = {
      cert: { file: `${files.folder}/cert.pem` },
      key: { file: `${files.folder}/key.pem` },
      checkIntervalMs: 100,
      onReload: (error: Error | undefined) => {
        if (error === undefined) changed.resolve();
      },
    };
    await using gateway = await startHttp3({ tls });
    assert.equal((await ask(gateway.udpPort, echo)).status, 200);
    await write();
    await changed.promise;
    const deadline = Date.now() + 8000;
    let status: number | null | undefined;
    do
      status = (await http3Script(env, gateway.udpPort, [{ steps: [{ ask: echo }] }]))[0]?.results[0]?.status;
    while (status !== 200 && Date.now() < deadline);
    assert.deepEqual([status, gateway.http.http3Address?.port], [200, gateway.udpPort]);
  });

  test("more requests at a time than a connection may have wait, and all are answered", async () => {
    await using gateway = await startHttp3({}, { maxStreams: 5 });
    const slow = { ...echo, body: JSON.stringify({ text: "hi", behaviour: { sleepMs: 100 } }) };
    const [outcome] = await http3Script(env, gateway.udpPort, [
      { steps: [{ all: Array.from({ length: 12 }, () => slow) }] },
    ]);
    const statuses = outcome?.results[0]?.map(({ status }) => status);
    assert.deepEqual(
      statuses,
      Array.from({ length: 12 }, () => 200),
    );
  });
});

test("E18: a POST in early data, recorded and sent again, runs its handler once, after the handshake", async () => {
  await using gateway = await startHttp3();
  const [, second] = await http3Script(env, gateway.udpPort, [
    { steps: [{ ask: { path: "/healthz" } }] },
    // The package's tickets allow no early data: what a client sends all the same is never read.
    { early: true, steps: [{ start: echo }, { sleep: 1 }, { ask: echo }] },
  ]);
  assert.deepEqual([second?.early, second?.results[0]?.status, gateway.echo.calls], [false, 200, 1]);
});

test("E19: where UDP is blocked after Alt-Svc was seen, TCP serves", async () => {
  await using gateway = await startHttp3();
  const session = connect(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false });
  const request = session.request({ ":path": "/test/v1/echo/x" });
  const { promise, resolve } = Promise.withResolvers<IncomingHttpHeaders>();
  request.once("response", resolve);
  const head = await promise;
  assert.equal(head["alt-svc"], `h3=":${gateway.udpPort}"; ma=3600`);
  request.resume();
  session.close();
  // A host without a door of HTTP/3: what a client sees of UDP that is blocked.
  const { stdout } = await promisify(execFile)("curl", [
    "-sk",
    `https://127.0.0.1:${gateway.port}/test/v1/echo/x`,
  ]);
  assert.equal(textOf(stdout), "x");
});
