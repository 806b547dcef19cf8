/**
 * The contract of reports: whatever a door does with a request for an rpc, its observers are told of it once, as a call
 * that has ended or as one that was refused; the metrics and the access log say the same.
 */
import { strict as assert } from "node:assert";
import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { after, before, describe, test } from "node:test";
import { createClient, Code, type ConnectError } from "@connectrpc/connect";
import { fastify } from "fastify";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { GoMs } from "../../gen/go/micro/service/goms/goms_pb.ts";
import type { CallObserver, RefusedCall } from "../../src/core/call/observer.ts";
import { dial } from "../../src/core/dial.ts";
import type { RefusalKind } from "../../src/core/errors/refusal-kind.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { AccessLog } from "../../src/core/telemetry/access-log.ts";
import { Metrics } from "../../src/core/telemetry/metrics.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { envelope } from "../behaviour/rpc-protocols/rpc-fixture.ts";
import { SocketClient, within } from "../behaviour/websocket/socket-client.ts";
import { Echo } from "../support/echo-service.ts";
import { exchangeBytes } from "../support/gateway-fixture.ts";

/** What was reported, one text a report: `finished Echo OK`, `refused Echo rest malformed`. */
class Reports implements CallObserver {
  readonly all: string[] = [];
  #open = 0;

  started(): void {
    this.#open++;
  }

  finished(
    { method }: { readonly method: { readonly name: string } },
    error: ConnectError | undefined,
  ): void {
    this.#open--;
    this.all.push(`finished ${method.name} ${error === undefined ? "OK" : Code[error.code]}`);
  }

  refused({ method, protocolName, kind }: RefusedCall): void {
    this.all.push(`refused ${method?.name ?? "(none)"} ${protocolName} ${kind}`);
  }

  get isQuiet(): boolean {
    return this.#open === 0;
  }
}

const reports = new Reports();
const metrics = new Metrics({ processMetrics: false });
const lines: string[] = [];
/** Handshakes that open a socket have a line of their own beside those of its calls. */
const isOpened = (line: string): boolean => line.includes('"status":101') && line.includes('"door":"http"');
const accessLog = new AccessLog({
  destination: { write: (line) => void (isOpened(line) || lines.push(line)) },
});
const common = { observers: [reports, metrics, accessLog], logger: false as const };
const forHttp = {
  ...common,
  httpObservers: [metrics, accessLog],
  unknownQuery: "reject",
  unknownFields: "reject",
} as const;
const quiet = new GrpcServer({ listen: false, logger: false }).addService(new Echo());
const grpc = {
  own: new GrpcServer({ port: 0, ...common }).addService(new Echo()),
  "grpc-js": new GrpcServer({ port: 0, engine: "grpc-js", ...common }).addService(new Echo()),
};
const http = {
  "the fast lane and our own HTTP/2": new HttpServer({ port: 0, upstream: quiet, ...forHttp }),
  "node:http and node:http2": new HttpServer({
    port: 0,
    upstream: quiet,
    ...forHttp,
    fastLane: false,
    engine: "node",
  }),
};
const guest = new HttpServer({ upstream: quiet, ...forHttp });
const app = fastify();
const ports = new Map<string, number>();

before(async () => {
  for (const [name, server] of [...Object.entries(grpc), ...Object.entries(http)]) {
    if (server instanceof HttpServer) server.addService(EchoService);
    await server.start();
    ports.set(name, server.address?.port ?? 0);
  }
  guest.addService(EchoService);
  await app.register(guest.plugin);
  await app.listen({ port: 0, host: "127.0.0.1" });
  ports.set("a Fastify app", (app.server.address() as AddressInfo).port); // It listens on TCP.
});

after(async () => {
  await app.close();
  await Promise.all(
    [...Object.values(http), ...Object.values(grpc)].map((s) => s.gracefulStop({ graceMs: 0 })),
  );
});

const echoPath = `/${EchoService.typeName}/Echo`;
const json = { "content-type": "application/json" };
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What one request has to be reported as. */
interface Row {
  readonly report: string;
  /** Makes the request, and resolves when it was answered. */
  readonly request: (port: number) => Promise<unknown>;
}

const refused = (rpc: string, protocol: string, kind: RefusalKind): string =>
  `refused ${rpc} ${protocol} ${kind}`;

function post(path: string, body: string | Buffer, headers: Record<string, string> = json): Row["request"] {
  return async (port) =>
    (await fetch(`http://127.0.0.1:${port}${path}`, { method: "POST", body, headers })).arrayBuffer();
}

function get(path: string, headers: Record<string, string> = {}): Row["request"] {
  return async (port) => (await fetch(`http://127.0.0.1:${port}${path}`, { headers })).arrayBuffer();
}

/** Sends a part of a request and leaves. */
function broken(head: string): Row["request"] {
  return (port) =>
    new Promise((resolve) => {
      const socket = connectTcp(port, "127.0.0.1", () => socket.write(head, () => socket.resetAndDestroy()));
      socket.once("close", resolve);
    });
}

const connect = { ...json, "connect-protocol-version": "1" };
const web = { "content-type": "application/grpc-web+proto" };

/** Rows of every port of an `HttpServer`, and of an app that has one as a plugin. */
const rest: Readonly<Record<string, Row>> = {
  "a good call": { report: "finished Echo OK", request: post("/test/v1/echo", "{}") },
  "a call that fails": {
    report: "finished Echo NotFound",
    request: post("/test/v1/echo", '{"behaviour":{"failure":{"code":5}}}'),
  },
  "bad JSON": { report: refused("Echo", "rest", "malformed"), request: post("/test/v1/echo", "{") },
  "an unknown field": {
    report: refused("Echo", "rest", "malformed"),
    request: post("/test/v1/echo", '{"x":1}'),
  },
  "an unknown query": { report: refused("Echo", "rest", "malformed"), request: get("/test/v1/echo/a?x=1") },
  "a value of another type": {
    report: refused("Repeat", "rest", "malformed"),
    request: get("/test/v1/repeat/a?count=x"),
  },
  "a content type that is not read": {
    report: refused("Echo", "rest", "malformed"),
    request: post("/test/v1/echo", "{}", { "content-type": "text/plain" }),
  },
  "a timeout that is none": {
    report: refused("Echo", "rest", "malformed"),
    request: get("/test/v1/echo/a", { "grpc-timeout": "x" }),
  },
  "a body that is too large": {
    report: refused("Echo", "rest", "malformed"),
    request: post("/test/v1/echo", JSON.stringify({ text: "x".repeat(5_000_000) })),
  },
  "no route": { report: refused("(none)", "rest", "no_route"), request: get("/nothing/here") },
  "another method": { report: refused("(none)", "rest", "no_route"), request: get("/test/v1/chat") },
  "a stream with a bad query": {
    report: refused("Repeat", "rest", "malformed"),
    request: get("/test/v1/repeat/a?y=1", { accept: "text/event-stream" }),
  },
  "a stream of lines with a bad line": {
    report: "finished Collect InvalidArgument",
    request: post("/test/v1/collect", "{\n", { "content-type": "application/x-ndjson" }),
  },
  "a long poll with a bad query": {
    report: refused("Repeat", "rest", "malformed"),
    request: get("/test/v1/repeat/a?y=1", { prefer: "wait=1" }),
  },
  "a long poll with a token of nobody": {
    report: refused("Repeat", "rest", "malformed"),
    request: get("/test/v1/repeat/a?count=1", { prefer: "wait=1", "x-resume-token": "x.1" }),
  },
  "a client that leaves inside its body": {
    report: "finished Echo Canceled",
    request: broken(
      "POST /test/v1/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    ),
  },
  "Connect: bad JSON": {
    report: refused("Echo", "connect", "malformed"),
    request: post(echoPath, "{", connect),
  },
  "Connect: no message": {
    report: refused("Echo", "connect", "malformed"),
    request: post(echoPath, "{}", { ...connect, "connect-timeout-ms": "x" }),
  },
  "Connect: another type": {
    report: refused("Echo", "connect", "malformed"),
    request: post(echoPath, "{}", { ...connect, "content-type": "text/plain" }),
  },
  "Connect: another rpc": {
    report: refused("(none)", "connect", "no_route"),
    request: post(`/${EchoService.typeName}/Nothing`, "{}", connect),
  },
  "Connect: a stream with a bad message": {
    report: refused("Repeat", "connect", "malformed"),
    request: post(`/${EchoService.typeName}/Repeat`, envelope("{"), {
      "content-type": "application/connect+json",
    }),
  },
  "gRPC-Web: a bad message": {
    report: refused("Echo", "grpc-web", "malformed"),
    request: post(echoPath, envelope(Buffer.from([0xff])), web),
  },
  "gRPC-Web: no message": {
    report: refused("Echo", "grpc-web", "malformed"),
    request: post(echoPath, Buffer.alloc(0), web),
  },
  "gRPC-Web: another rpc": {
    report: refused("(none)", "grpc-web", "no_route"),
    request: post(`/${EchoService.typeName}/Nothing`, envelope(Buffer.alloc(0)), web),
  },
};

/** Opens a socket whose handshake is refused. */
const refusedSocket =
  (path: string, protocols: string[] = []): Row["request"] =>
  (port) =>
    new SocketClient(`ws://127.0.0.1:${port}${path}`, protocols).refused();

/** Sends frames over a socket, and waits for its first answer. */
const frames =
  (path: string, ...sent: string[]): Row["request"] =>
  async (port) => {
    const socket = await new SocketClient(`ws://127.0.0.1:${port}${path}`).open();
    socket.send(...sent);
    await within(
      Promise.race([socket.closed, new Promise((resolve) => socket.ws.once("message", resolve))]),
      "an answer",
    );
    socket.ws.terminate();
    await socket.closed;
  };

/** Rows of WebSockets. */
const sockets: Readonly<Record<string, Row>> = {
  "a handshake without a route": {
    report: refused("(none)", "websocket", "no_route"),
    request: refusedSocket("/nothing"),
  },
  "a handshake with another subprotocol": {
    report: refused("Echo", "websocket", "malformed"),
    request: refusedSocket(echoPath, ["nothing"]),
  },
  "a handshake with a bad query": {
    report: refused("Repeat", "websocket", "malformed"),
    request: refusedSocket("/test/v1/repeat/a?y=1"),
  },
  "a bad frame": { report: refused("Echo", "websocket", "malformed"), request: frames(echoPath, "{") },
  "a good call": { report: "finished Echo OK", request: frames(echoPath, "{}") },
  "many: a bad message": {
    report: refused("Echo", "websocket", "malformed"),
    request: frames("/ws", `{"id":1,"method":"${EchoService.typeName}/Echo","message":{"x":1}}`),
  },
  "many: no rpc": {
    report: refused("(none)", "websocket", "no_route"),
    request: frames("/ws", `{"id":1,"method":"${EchoService.typeName}/Nothing","message":{}}`),
  },
  "many: a bad timeout": {
    report: refused("Echo", "websocket", "malformed"),
    request: frames("/ws", `{"id":1,"method":"${EchoService.typeName}/Echo","timeoutMs":-1,"message":{}}`),
  },
};

/** A request over HTTP/2 whose body is `body`. */
const overHttp2 =
  (fields: OutgoingHttpHeaders, body: Uint8Array = Buffer.alloc(0)): Row["request"] =>
  async (port) => {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    const stream = session.request({ ":method": "POST", te: "trailers", ...fields });
    stream.on("error", () => {});
    stream.resume().end(body);
    await within(new Promise((resolve) => stream.once("close", resolve)), "the end of the stream");
    session.close();
  };

const head = { ":path": echoPath, "content-type": "application/grpc" };

/** Rows of gRPC ports. */
const calls: Readonly<Record<string, Row>> = {
  "a good call": { report: "finished Echo OK", request: overHttp2(head, envelope(Buffer.alloc(0))) },
  "no such rpc": {
    report: refused("(none)", "grpc", "no_route"),
    request: overHttp2({ ...head, ":path": "/a.B/C" }, envelope(Buffer.alloc(0))),
  },
  "a GET": {
    report: refused("Echo", "grpc", "malformed"),
    request: overHttp2({ ...head, ":method": "GET" }),
  },
  "another content type": {
    report: refused("Echo", "grpc", "malformed"),
    request: overHttp2({ ...head, "content-type": "text/plain" }),
  },
  "a bad timeout": {
    report: refused("Echo", "grpc", "malformed"),
    request: overHttp2({ ...head, "grpc-timeout": "x" }),
  },
  "an unknown encoding": {
    report: refused("Echo", "grpc", "malformed"),
    request: overHttp2({ ...head, "grpc-encoding": "br" }),
  },
  "a message that cannot be read": {
    report: refused("Echo", "grpc", "malformed"),
    request: overHttp2(head, envelope(Buffer.from([0xff]))),
  },
  "no message": { report: refused("Echo", "grpc", "malformed"), request: overHttp2(head) },
  "two messages": {
    report: refused("Echo", "grpc", "malformed"),
    request: overHttp2(head, Buffer.concat([envelope(Buffer.alloc(0)), envelope(Buffer.alloc(0))])),
  },
  "half a message": {
    report: refused("Echo", "grpc", "malformed"),
    request: overHttp2(head, envelope(Buffer.alloc(0), 0, 10)),
  },
  "a stream with a message that cannot be read": {
    report: "finished Collect Internal",
    request: overHttp2(
      { ...head, ":path": `/${EchoService.typeName}/Collect` },
      envelope(Buffer.from([0xff])),
    ),
  },
};

const tables: readonly (readonly [port: string, rows: Readonly<Record<string, Row>>])[] = [
  ...Object.keys(http).map((name) => [name, { ...rest, ...prefixed("a socket: ", sockets) }] as const),
  ["a Fastify app", withoutUnknown(rest)],
  ...Object.keys(grpc).map((name) => [name, calls] as const),
];

for (const [name, rows] of tables) {
  describe(`requests to ${name} are reported once`, () => {
    for (const [row, { report, request }] of Object.entries(rows)) {
      test(row, () => isReported(report, () => request(ports.get(name) ?? 0)));
    }
  });
}

describe("calls in process are reported once", () => {
  const server = new GrpcServer({ listen: false, ...common }).addService(new Echo());
  test("no such rpc", () =>
    isReported(
      refused("Get", "in-process", "no_route"),
      () =>
        createClient(GoMs, dial(server))
          .get({})
          .catch(() => {}),
      0,
    ));
  test("a good call", () =>
    isReported("finished Echo OK", () => createClient(EchoService, dial(server)).echo({}), 0));
  test("a stopped server", async () => {
    await server.gracefulStop({ graceMs: 0 });
    const client = createClient(EchoService, dial(server));
    await isReported(refused("Echo", "in-process", "draining"), () => client.echo({}).catch(() => {}), 0);
    await isReported(
      refused("Collect", "in-process", "draining"),
      () => client.collect((async function* () {})()).catch(() => {}),
      0,
    );
  });
});

test("a gateway whose routes are not there yet has refused the call", async (t) => {
  const waiting = new HttpServer({ port: 0, upstream: quiet, ...forHttp, awaitServices: true });
  await waiting.start();
  t.after(() => waiting.gracefulStop({ graceMs: 0 }));
  const { port = 0 } = waiting.address ?? {};
  await isReported(refused("(none)", "rest", "draining"), () => get("/test/v1/echo/a")(port));
});

test("a head that is too large is reported with the rpc that it asks for", async () => {
  const port = ports.get("the fast lane and our own HTTP/2") ?? 0;
  const fields = Array.from({ length: 120 }, (_, place) => `x-${place}: 1\r\n`).join("");
  await isReported(refused("Echo", "rest", "malformed"), () =>
    exchangeBytes(port, `GET /test/v1/echo/a HTTP/1.1\r\nhost: a\r\n${fields}\r\n`, (text) =>
      text.includes("431"),
    ),
  );
});

test("a call that ends while its server stops is reported as one that has ended", async () => {
  const server = new GrpcServer({ port: 0, ...common }).addService(new Echo());
  await server.start();
  lines.length = 0;
  const session = connectHttp2(`http://127.0.0.1:${server.address?.port}`);
  const open = session.request({ ":method": "POST", ...head, ":path": `/${EchoService.typeName}/Chat` });
  open.on("error", () => {});
  open.write(envelope(Buffer.alloc(0)));
  await within(new Promise((resolve) => open.once("response", resolve)), "the first reply");
  const stopping = server.gracefulStop({ graceMs: 10_000 });
  open.end();
  open.resume();
  await stopping;
  await settle("finished Chat OK");
  lines.length = 0;
  session.destroy();
});

/** What has no rpc is the app's own. */
function withoutUnknown(rows: Readonly<Record<string, Row>>): Record<string, Row> {
  return Object.fromEntries(Object.entries(rows).filter(([, { report }]) => !report.endsWith("no_route")));
}

function prefixed(prefix: string, rows: Readonly<Record<string, Row>>): Record<string, Row> {
  return Object.fromEntries(Object.entries(rows).map(([name, row]) => [prefix + name, row]));
}

/** Waits for the one report that there has to be, and takes it away with its line. */
async function settle(report: string, lineCount = 1): Promise<void> {
  const end = performance.now() + 5_000;
  while (reports.all.length === 0 || !reports.isQuiet || lines.length < lineCount) {
    if (performance.now() > end) break;
    await later();
  }
  for (let turns = 0; turns < 20; turns++) await later(); // A second report would come.
  assert.deepEqual(reports.all.splice(0), [report]);
  assert.equal(lines.length, lineCount, lines.join(""));
}

/** @param lineCount lines of the access log; calls in process have none */
async function isReported(report: string, request: () => Promise<unknown>, lineCount = 1): Promise<void> {
  reports.all.length = 0;
  lines.length = 0;
  const refusedBefore = await refusedSum();
  await request();
  await settle(report, lineCount);
  const [kind, rpc, protocol, reason] = report.split(" ");
  const sum = await refusedSum();
  assert.equal(sum.all - refusedBefore.all, kind === "refused" ? 1 : 0);
  if (kind !== "refused") return;
  if (lineCount > 0)
    assert.equal((JSON.parse(lines[0] ?? "{}") as { refused_by?: string }).refused_by, reason);
  const service = rpc === "(none)" ? "(none)" : rpc === "Get" ? GoMs.typeName : EchoService.typeName;
  const labels = `service="${service}",method="${rpc}",protocol="${protocol}",reason="${reason}"`;
  assert.equal((sum.of.get(labels) ?? 0) - (refusedBefore.of.get(labels) ?? 0), 1, labels);
}

/** The counts of refused calls. */
async function refusedSum(): Promise<{ readonly all: number; readonly of: ReadonlyMap<string, number> }> {
  const of = new Map<string, number>();
  for (const [, labels = "", value] of (await metrics.page()).matchAll(
    /^ts_ms_calls_refused_total\{(.*)\} (\d+)$/gm,
  )) {
    of.set(labels, Number(value));
  }
  return { all: [...of.values()].reduce((sum, value) => sum + value, 0), of };
}
