/** Every key that says it reloads does: it is changed in an app that serves, and its clients see it. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { App } from "../../../src/app/app.ts";
import { type KeySection, keyTree } from "../../../src/core/config/loader/key-tree.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { flushLogs } from "../../../src/core/telemetry/log-writer.ts";
import { Echo } from "../../support/echo-service.ts";
import { server } from "../envelope/envelope-fixture.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { OtlpReceiver } from "../../support/otlp-receiver.ts";
import { addressOf } from "./app-fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "reload-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const logFile = join(folder, "log");
const accessFile = join(folder, "access");

/** What a client has to see of a key. */
interface Row {
  /** The configuration beside the key. Default: nothing. */
  readonly base?: JsonObject;
  /** The value of the key before, undefined for none, and after. */
  readonly values: readonly [before: unknown, after: unknown];
  /** What a client sees with each of them. */
  readonly sees: readonly [before: unknown, after: unknown];
  readonly look: (app: App) => Promise<unknown>;
}

const httpOf = (app: App): string => `http://${addressOf(app, "http")}`;
const slow = JSON.stringify({ behaviour: { sleepMs: 400 } });

/** The status of a call of `Echo`, and a header of the answer. */
async function echoed(app: App, body = "{}", headers: Record<string, string> = {}): Promise<Response> {
  const all = { "content-type": "application/json", ...headers };
  const answer = await fetch(`${httpOf(app)}/test/v1/echo`, { method: "POST", body, headers: all });
  await answer.arrayBuffer();
  return answer;
}

const status =
  (body?: string, headers?: Record<string, string>) =>
  async (app: App): Promise<number> =>
    (await echoed(app, body, headers)).status;

const header =
  (name: string, headers: Record<string, string>) =>
  async (app: App): Promise<string | null> =>
    (await echoed(app, "{}", headers)).headers.get(name);

/** The code of a call over gRPC, by a client that sets no deadline; undefined for OK. */
const grpc =
  (text: string, sleepMs = 0) =>
  async (app: App): Promise<Code | undefined> => {
    const baseUrl = `http://${addressOf(app, "grpc")}`;
    const transport = createGrpcTransport({ baseUrl, idleConnectionTimeoutMs: 10 });
    try {
      await createClient(EchoService, transport).echo({ text, behaviour: { sleepMs } });
      return undefined;
    } catch (reason) {
      return ConnectError.from(reason).code;
    }
  };

async function opened(address: string): Promise<Socket> {
  const [host = "", port = ""] = address.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** How many of two connections can be open. */
const secondConnection = (server: string) => async (app: App) => {
  const head =
    "POST /test/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n";
  const address = addressOf(app, server);
  const first = await opened(address);
  const second = await opened(address);
  try {
    if (server === "http") {
      first.write(`${head}\r\n`);
      second.write("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
    } else {
      second.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
      second.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])); // SETTINGS.
    }
    const closed = [first, second].map(
      (socket) => new Promise((resolve) => socket.once("close", () => resolve("one"))),
    );
    const both = new Promise((resolve) => second.once("data", () => setTimeout(resolve, 50, "both")));
    return await Promise.race([...closed, both]);
  } finally {
    first.destroy();
    second.destroy();
  }
};

/** The answer to an upload that stops. */
const stalled =
  (path: string, type: string, patienceMs = 300) =>
  async (app: App) => {
    const socket = await opened(addressOf(app, "http"));
    socket.write(`POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: ${type}\r\ncontent-length: 90\r\n\r\n{`);
    const timer = new Promise((resolve) => setTimeout(resolve, patienceMs, "waits"));
    const answer = once(socket, "data").then(([data]) => String(data).slice(9, 12));
    const outcome = await Promise.race([timer, answer]);
    socket.destroy();
    return outcome;
  };

/** Whether a socket of a page of another origin is opened. */
async function socketOfOther(app: App): Promise<number> {
  const url = `ws://${addressOf(app, "http")}/${EchoService.typeName}/Echo`;
  const socket = new SocketClient(url, [], { origin: "https://other.example" });
  const refused = socket.refused().then(({ status: code }) => code);
  const outcome = await Promise.any([refused, socket.open().then(() => 101)]);
  socket.ws.terminate();
  return outcome;
}

/** The statuses of a stream of each kind beside one that is open. */
async function secondStream(app: App): Promise<number[]> {
  const leaving = new AbortController();
  const open = (accept: string, query: string): Promise<Response> =>
    fetch(`${httpOf(app)}/test/v1/repeat/a?${query}`, { headers: { accept }, signal: leaving.signal });
  const first = await open("text/event-stream", "count=2&intervalMs=60000");
  assert.equal(first.status, 200);
  const found: number[] = [];
  for (const accept of ["text/event-stream", "application/x-ndjson"]) {
    const answer = await open(accept, "count=1");
    found.push(answer.status);
    await answer.text();
  }
  leaving.abort();
  while (app.statistics("http").activeRequests > 0) await new Promise(setImmediate);
  return found;
}

/** How many lines a file has more behind a call. */
const linesOf =
  (file: string, body = "{}") =>
  async (app: App) => {
    const count = (): number => {
      flushLogs();
      return readFileSync(file, "utf8").split("\n").length;
    };
    const before = count();
    await echoed(app, body);
    while (app.statistics("http").activeRequests > 0) await new Promise(setImmediate);
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    return count() - before;
  };

const origin = { origin: "https://a.example" };
const cors = { http: { cors: { origins: ["https://a.example"] } } };
const access = { telemetry: { access_log: { destination: accessFile } } };
const everybody = { access: { default: "public" } };
const [echoRpc, otherRpc] = [`${EchoService.typeName}/Echo`, `${EchoService.typeName}/Collect`];

/** A file beside the configurations. @returns its path */
function fileOf(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

const signingKey = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" });
const signatureKeys = fileOf("signature-keys.json", [{ id: "a", alg: "ed25519", key: signingKey }]);
const envelopeKeys = fileOf("envelope-keys.json", { keys: [server.p256.privateJwk] });

const apiKeys = { mine: createApiKey("mine"), other: createApiKey("other") };
const keysOf = (owner: keyof typeof apiKeys): string =>
  fileOf(`${owner}.json`, [{ id: owner, hash: apiKeys[owner].hash }]);

const rows: Readonly<Record<string, Row>> = {
  "app.max_connections_per_second": {
    values: [0, 1],
    sees: ["all", "fewer"],
    async look(app) {
      const sockets = await Promise.all(Array.from({ length: 3 }, () => opened(addressOf(app, "http"))));
      const answered = await Promise.all(
        sockets.map((socket) => {
          socket.write("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
          return new Promise((resolve) => {
            socket.once("data", () => resolve("answered")).once("close", () => resolve("closed"));
          });
        }),
      );
      for (const socket of sockets) socket.destroy();
      return answered.includes("closed") ? "fewer" : "all";
    },
  },
  "app.max_connections": {
    values: [10, 1],
    sees: ["open", "closed"],
    async look(app) {
      const idle = await opened(addressOf(app, "http"));
      idle.write("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
      await once(idle, "data");
      const closed = once(idle, "close").then(() => "closed");
      const other = await opened(addressOf(app, "http"));
      other.write("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
      await once(other, "data");
      const outcome = await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 50, "open"))]);
      idle.destroy();
      other.destroy();
      return outcome;
    },
  },
  "app.request_id": {
    values: ["any", "never"],
    sees: [true, false],
    look: async (app) => (await header("x-request-id", { "x-request-id": "mine" })(app)) === "mine",
  },
  "http.timeout": { values: ["10s", "50ms"], sees: [200, 504], look: status(slow) },
  "http.max_timeout": {
    base: { http: { timeout: "40ms" }, grpc: { timeout: "40ms" } },
    values: ["10s", "50ms"],
    sees: [200, 504],
    look: status(slow, { "grpc-timeout": "9S" }),
  },
  "http.read_timeout": {
    values: ["10s", "50ms"],
    sees: ["waits", "408"],
    look: stalled("/test/v1/echo", "application/json", 2_500), // Bodies are looked at once a second.
  },
  "http.body_idle": {
    values: ["10s", "50ms"],
    sees: ["waits", "408"],
    look: stalled("/test/v1/collect", "application/x-ndjson"),
  },
  "http.max_connections_per_ip": { values: [0, 1], sees: ["both", "one"], look: secondConnection("http") },
  "grpc.max_connections_per_ip": { values: [0, 1], sees: ["both", "one"], look: secondConnection("grpc") },
  "http.trusted_proxies": {
    base: { app: { request_id: "trusted" } },
    values: [[], ["127.0.0.1"]],
    sees: [false, true],
    look: async (app) => (await header("x-request-id", { "x-request-id": "mine" })(app)) === "mine",
  },
  "http.cors.origins": {
    values: [["https://b.example"], ["https://a.example"]],
    sees: [null, "https://a.example"],
    look: header("access-control-allow-origin", origin),
  },
  "http.cors.credentials": {
    base: cors,
    values: [false, true],
    sees: [null, "true"],
    look: header("access-control-allow-credentials", origin),
  },
  "http.cors.max_age": {
    base: cors,
    values: ["10m", "7s"],
    sees: ["600", "7"],
    look: async (app) => {
      const asked = { ...origin, "access-control-request-method": "POST" };
      const answer = await fetch(`${httpOf(app)}/test/v1/echo`, { method: "OPTIONS", headers: asked });
      return answer.headers.get("access-control-max-age");
    },
  },
  "grpc.timeout": { values: ["10s", "50ms"], sees: [undefined, Code.DeadlineExceeded], look: grpc("a", 400) },
  "grpc.max_recv_msg_size": {
    values: ["1MiB", 100],
    sees: [undefined, Code.ResourceExhausted],
    look: grpc("x".repeat(200)),
  },
  "grpc.max_send_msg_size": {
    values: ["1MiB", 100],
    sees: [undefined, Code.Internal],
    look: grpc("x".repeat(200)),
  },
  "websocket.check_origin": { values: [true, false], sees: [403, 101], look: socketOfOther },
  "websocket.allowed_origins": {
    values: [[], ["https://other.example"]],
    sees: [403, 101],
    look: socketOfOther,
  },
  "sse.max_connections": {
    values: [0, 1],
    sees: [
      [200, 200],
      [503, 503],
    ],
    look: secondStream,
  },
  "telemetry.log.level": { values: ["info", "debug"], sees: [0, 1], look: linesOf(logFile) },
  "telemetry.access_log.enabled": {
    base: access,
    values: [true, false],
    sees: [1, 0],
    look: linesOf(accessFile),
  },
  "telemetry.access_log.sample_ok": { base: access, values: [1, 0], sees: [1, 0], look: linesOf(accessFile) },
  "telemetry.access_log.slow": {
    base: { telemetry: { access_log: { destination: accessFile, sample_ok: 0 } } },
    values: ["10s", "1ms"],
    sees: [0, 1],
    look: linesOf(accessFile, JSON.stringify({ behaviour: { sleepMs: 20 } })),
  },
  "http.write_timeout": {
    values: ["60s", "300ms"],
    sees: ["waits", "closed"],
    async look(app) {
      const body = JSON.stringify({ count: 100_000, payload: "x".repeat(4_000) });
      const socket = await opened(addressOf(app, "http"));
      const head = `POST /${EchoService.typeName}/Repeat HTTP/1.1\r\nhost: a\r\ncontent-type: application/json`;
      socket.pause();
      socket.write(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      // Nothing is read until the server has given up, or does not.
      while (app.statistics("http").activeRequests === 0) await new Promise(setImmediate);
      const endMs = performance.now() + 3_000;
      const serves = (): boolean => app.statistics("http").activeRequests > 0;
      while (serves() && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, 20));
      const outcome = serves() ? "waits" : "closed";
      socket.destroy();
      return outcome;
    },
  },
  "auth.providers.NAME.api_key.keys_file": {
    base: { access: { default: "authenticated" } },
    values: [keysOf("other"), keysOf("mine")],
    sees: [401, 200],
    look: status("{}", { "x-api-key": apiKeys.mine.key }),
  },
  "ext_authz.rpc": {
    base: { ext_authz: { target: "127.0.0.1:9" } },
    values: [[otherRpc], [echoRpc]],
    sees: [200, 503],
    look: status(),
  },
  "ext_authz.on_failure": {
    base: { ext_authz: { target: "127.0.0.1:9" } },
    values: ["deny", "allow"],
    sees: [503, 200],
    look: status(),
  },
  "overload.max_concurrent": {
    base: { overload: { enabled: true, queue: 0, target_lag: "30s" } },
    values: ["10", "1"],
    sees: [
      [200, 200],
      [200, 503],
    ],
    look: async (app) => {
      const both = await Promise.all([status(slow)(app), status(slow)(app)]);
      return both.toSorted((a, b) => a - b);
    },
  },
  "access.default": { values: ["public", "deny"], sees: [200, 403], look: status() },
  "access.rules.NAME.level": {
    base: everybody,
    values: ["public", "deny"],
    sees: [200, 403],
    look: status(),
  },
  "signatures.verify.rpc": {
    base: { signatures: { verify: { keys_file: signatureKeys } } },
    values: [[otherRpc], [echoRpc]],
    sees: [200, 401],
    look: status(),
  },
  "envelope.rpc": {
    base: { envelope: { keys_file: envelopeKeys } },
    values: [[otherRpc], [echoRpc]],
    sees: [200, 415],
    look: status(),
  },
  "limits.NAME.rate": {
    base: { limits: { all: { key: ["global"] } } },
    values: ["1000/1m", "1/1h"],
    sees: [
      [200, 200],
      [200, 429],
    ],
    look: async (app) => [await status()(app), await status()(app)],
  },
};

/** Where the names of maps are `NAME`: the one of the test. */
const names: Readonly<Record<string, string>> = { access: echoRpc, auth: "partners", limits: "all" };

function withKey(base: JsonObject, key: string, value: unknown): JsonObject {
  const root = structuredClone(base);
  const path = key
    .split(".")
    .map((name, _place, all) => (name === "NAME" ? (names[all[0] ?? ""] ?? name) : name));
  let at: Record<string, unknown> = root;
  for (const name of path.slice(0, -1)) at = (at[name] ??= {}) as Record<string, unknown>; // It is made here.
  if (value !== undefined) at[path.at(-1) ?? ""] = value;
  return root;
}

/** Members of both, one level after the other. */
function merged(one: JsonObject, other: JsonObject): JsonObject {
  const all: JsonObject = { ...one };
  for (const [name, value] of Object.entries(other)) {
    const before = all[name];
    const isBoth = [before, value].every(
      (part) => typeof part === "object" && part !== null && !Array.isArray(part),
    );
    all[name] = isBoth ? merged(before as JsonObject, value as JsonObject) : value; // As was asked.
  }
  return all;
}

const common: JsonObject = {
  http: { port: 0 },
  grpc: { port: 0 },
  overload: { enabled: false },
  telemetry: { metrics: { port: "off" }, log: { destination: logFile } },
};

suite("a key that reloads changes what an app does that serves", () => {
  for (const [key, { base = {}, values, sees, look }] of Object.entries(rows)) {
    test(key, async (t) => {
      const file = join(folder, `${key}.json`);
      const write = (value: unknown): void =>
        writeFileSync(file, JSON.stringify(withKey(merged(common, base), key, value)));
      write(values[0]);
      const app = (await App.load({ argv: ["--config", file], env: {} })).addService(new Echo());
      await app.start();
      t.after(() => app.stop(undefined, { graceMs: 0 }));
      assert.deepEqual(await look(app), sees[0]);
      write(values[1]);
      const report = await app.reload();
      assert.deepEqual([report.result, report.problems, report.restartNeeded], ["applied", [], []]);
      assert.deepEqual(await look(app), sees[1]);
    });
  }
});

/** What other tests show, with the reason why not here. */
const elsewhere: readonly (readonly [keys: RegExp, where: string])[] = [
  [/^http\.security_headers$|^csrf\./, "needs sessions: test/behaviour/app/sessions.test.ts"],
  [/^telemetry\.tracing\./, "replaced whole, and needs a collector: the test below"],
  [
    /^auth\./,
    "one object a provider, replaced whole, as the row of keys_file shows: test/behaviour/security",
  ],
  [/^access\./, "one object of rules, replaced whole: test/behaviour/access"],
  [/^ext_authz\./, "replaced whole, as the rows of rpc and on_failure show: test/behaviour/ext-authz"],
  [/^limits\./, "one object a limit, replaced whole: test/behaviour/limits"],
  [/^overload\./, "replaced whole, as the row of max_concurrent shows: test/behaviour/limits"],
  [/^signatures\./, "replaced whole, as the row of verify.rpc shows: test/behaviour/signatures"],
  [/^envelope\./, "replaced whole, as the row of rpc shows: test/long/envelope-app.test.ts"],
  [/^(?:upstreams|policies|traffic|discovery)\b/, "needs servers: test/behaviour/app/upstreams.long.test.ts"],
];

test("every key that reloads is in this table, or named with the place that shows it", () => {
  const missing = reloadable(keyTree(), "").filter(
    (key) => rows[key] === undefined && !elsewhere.some(([keys]) => keys.test(key)),
  );
  assert.deepEqual(missing, []);
});

function reloadable(section: KeySection, path: string): string[] {
  return section.fields.flatMap((key) => {
    const at = `${path}${key.name}${key.shape === "map" && key.section !== undefined ? ".NAME" : ""}`;
    if (key.section !== undefined) return reloadable(key.section, `${at}.`);
    return key.reload ? [at] : [];
  });
}

test("telemetry.tracing.sample_ratio: traces begin with a reload, and a stop sends them", async (t) => {
  const receiver = await new OtlpReceiver().start();
  t.after(() => receiver.stop());
  const file = join(folder, "tracing.json");
  const write = (ratio: number): void => {
    const tracing = { endpoint: receiver.url, sample_ratio: ratio };
    writeFileSync(file, JSON.stringify(merged(common, { telemetry: { tracing } })));
  };
  write(0);
  const app = (await App.load({ argv: ["--config", file], env: {} })).addService(new Echo());
  await app.start();
  try {
    await echoed(app);
    write(1);
    assert.equal((await app.reload()).result, "applied");
    await echoed(app);
  } finally {
    await app.stop(undefined, { graceMs: 0 });
  }
  assert.deepEqual(
    receiver.spans.map(({ name }) => name),
    ["POST /test/v1/echo"],
  );
});
