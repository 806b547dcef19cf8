import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { EventEmitter, once } from "node:events";
import type { IncomingMessage } from "node:http";
import { suite, test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import * as fc from "fast-check";
import type { Http1Lane, HttpObserver } from "../../../src/gateway/http/http-observer.ts";
import type { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { createCertificate } from "../../support/certificates.ts";
import {
  bodyOf,
  connectTo,
  exchangeBytes,
  type Gateway,
  readUntil,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";
import { scripts } from "../../support/http1-scripts.ts";
import { TwoLanes } from "../../support/two-lanes.ts";

const echo = "/test/v1/echo";
const rpc = "/tsms.test.v1.EchoService/Echo";

function head(line: string, ...fields: readonly string[]): string {
  return [`${line} HTTP/1.1`, "Host: ok", ...fields, "", ""].join("\r\n");
}

function post(target: string, body: string, ...fields: readonly string[]): string {
  const length = `Content-Length: ${Buffer.byteLength(body)}`;
  return `${head(`POST ${target}`, "Content-Type: application/json", length, ...fields)}${body}`;
}

/** A gateway, and what has read the requests that it has answered. */
interface Watched {
  readonly gateway: Gateway;
  /** The lanes of the first `count` requests, as soon as so many were answered. */
  readonly lanes: (count: number) => Promise<readonly (Http1Lane | undefined)[]>;
}

async function startFast(
  t: TestContext,
  options: Partial<HttpServerOptions> = {},
  before: (http: HttpServer) => void = () => {},
): Promise<Watched> {
  const seen: (Http1Lane | undefined)[] = [];
  const answered = new EventEmitter();
  const observer: HttpObserver = {
    httpRequest(_route, _method, _status, _seconds, lane) {
      seen.push(lane);
      answered.emit("one");
    },
  };
  const httpObservers = [...(options.httpObservers ?? []), observer];
  const gateway = await startGateway({ ...options, httpObservers }, [], before);
  t.after(() => gateway[Symbol.asyncDispose]());
  return {
    gateway,
    lanes: async (count) => {
      while (seen.length < count) await once(answered, "one");
      return [...seen];
    },
  };
}

/** How many answers there are in what a connection brought. */
function answersIn(text: string): number {
  return text.split("HTTP/1.1 ").length - 1;
}

suite("the fast lane", () => {
  const options: readonly (readonly [name: string, options: Partial<HttpServerOptions>, count: number])[] = [
    ["with its defaults", {}, 400],
    [
      "with limits, hosts and origins",
      {
        allowedHosts: ["x"],
        corsOrigins: ["https://app.example.com"],
        corsCredentials: true,
        errorFormat: "google",
        maxBodyBytes: 30,
        maxUrlBytes: 40,
        maxHeaderFields: 7,
        maxHeaderBytes: 1000,
        keepAliveTimeoutMs: 5500,
      },
      100,
    ],
    ["without health, and with types not looked at", { healthPaths: false, contentType: "lenient" }, 100],
  ];
  for (const [name, chosen, count] of options) {
    test(`E13: answers as Node's lane, ${name}`, async () => {
      await using lanes = await TwoLanes.start(chosen);
      const found = await lanes.differences(fc.sample(scripts, { numRuns: count, seed: 13 }), 32);
      assert.deepEqual(found, []);
      assert.ok(lanes.unsteady <= count / 50, `${lanes.unsteady} scripts depend on time`);
    });
  }

  /** Requests, and whether Node sees them. */
  const requests: readonly (readonly [name: string, bytes: string, status: number, byNode: boolean])[] = [
    ["GET of a unary rpc", head(`GET ${echo}/a`), 200, false],
    ["HEAD of a unary rpc", head(`HEAD ${echo}/a`), 200, false],
    ["POST of a unary rpc", post(echo, '{"text":"a"}'), 200, false],
    ["a body that is wrong", post(echo, "{"), 400, false],
    ["a unary rpc by its name", post(rpc, "{}"), 200, false],
    ["a unary rpc by Connect", post(rpc, "{}", "Connect-Protocol-Version: 1"), 200, false],
    ["a rpc that fails", head(`GET ${echo}/a?behaviour.failure.code=5`), 404, false],
    ["/livez", head("GET /livez"), 200, false],
    ["/readyz", head("HEAD /readyz"), 200, false],
    ["a path without a route", head("GET /nothing"), 404, true],
    ["another method of a path", head("DELETE /livez"), 405, true],
    ["a server stream", head("GET /test/v1/repeat/a?count=1"), 200, true],
    ["a unary rpc as events", head(`GET ${echo}/a`, "Accept: text/event-stream"), 200, true],
    ["a host that is none", head(`GET ${echo}/a`).replace("ok", "a b"), 400, true],
    ["%00 in the path", head(`GET ${echo}/a%00`), 400, true],
    ["a body of more than the limit", post(echo, JSON.stringify({ text: "a".repeat(3000) })), 413, true],
    ["trailers asked for", head(`GET ${echo}/a`, "TE: trailers"), 200, true],
  ];
  for (const [name, bytes, status, byNode] of requests) {
    test(`${byNode ? "passes to Node" : "serves by itself"}: ${name}`, async (t) => {
      const { gateway, lanes } = await startFast(t, { maxBodyBytes: 2000 });
      const answer = await exchangeBytes(gateway.port, bytes, (text) => text.includes("\r\n\r\n"));
      assert.equal(statusOf(answer), status, answer);
      assert.deepEqual(await lanes(1), [byNode ? "node" : "fast"]);
    });
  }

  test("is off where the option says so", async (t) => {
    const { gateway, lanes } = await startFast(t, { fastLane: false });
    await gateway.stillServes();
    assert.deepEqual(await lanes(1), ["node"]);
    assert.doesNotMatch(gateway.http.describe().join(), /HTTP\/1\.1/);
  });

  for (const secure of [false, true]) {
    test(`a connection that has left it stays with Node, ${secure ? "with" : "without"} TLS`, async (t) => {
      const { cert, key } = createCertificate({ name: "self", hosts: ["127.0.0.1"] });
      const { gateway, lanes } = await startFast(t, secure ? { tls: { cert, key } } : {});
      const { port } = gateway;
      const good = head(`GET ${echo}/a`);
      const last = head(`GET ${echo}/last`, "Connection: close");
      const socket = secure ? connectTls({ port, host: "127.0.0.1", ca: cert }) : await connectTo(port);
      socket.write(`${good}${good}${head("GET /nothing")}${good}${last}`);
      const answer = await readUntil(socket, () => false);
      const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
      assert.deepEqual(statuses, [200, 200, 404, 200, 200]);
      assert.deepEqual(await lanes(5), ["fast", "fast", "node", "node", "node"]);
    });
  }

  test("H30: answers 1,000 pipelined requests in order", async (t) => {
    const { gateway } = await startFast(t);
    const all = Array.from({ length: 1000 }, (_, index) => head(`GET ${echo}/n${index}`)).join("");
    const answer = await exchangeBytes(gateway.port, all, (text) => text.includes('"n999"'));
    const texts = [...answer.matchAll(/"text":"n(\d+)"/g)].map(([, text]) => Number(text));
    assert.deepEqual(texts, [...texts.keys()]);
    assert.equal(texts.length, 1000);
  });

  test("requests for routes of the user's own pass through Fastify, others do not", async (t) => {
    const { gateway, lanes } = await startFast(t, {}, ({ fastify }) => {
      fastify.get("/own", async () => "own");
    });
    await gateway.stillServes();
    assert.equal(bodyOf(await exchangeBytes(gateway.port, head("GET /own", "Connection: close"))), "own");
    assert.deepEqual(await lanes(2), ["fast", "node"]);
  });

  test("a hook of the user's own sees every request", async (t) => {
    const urls: string[] = [];
    const { gateway } = await startFast(t, {}, ({ fastify }) => {
      fastify.addHook("onRequest", async ({ url }) => void urls.push(url));
    });
    await gateway.stillServes();
    assert.deepEqual(urls, [`${echo}/alive`]);
  });

  test("a body in parts is read as it comes, and what follows it is the next request", async (t) => {
    const { gateway, lanes } = await startFast(t);
    const text = "a".repeat(300_000);
    const body = Buffer.from(post(echo, JSON.stringify({ text })) + head("GET /livez", "Connection: close"));
    const socket = await connectTo(gateway.port);
    const answer = readUntil(socket, () => false);
    for (let at = 0; at < body.length; at += 10_000) {
      await new Promise((resolve) => socket.write(body.subarray(at, at + 10_000), resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await answer, /"text":"a{300000}".*HTTP\/1\.1 200 OK.*\{"status":"SERVING"\}$/s);
    assert.deepEqual(await lanes(2), ["fast", "fast"]);
  });

  test("a head that comes byte by byte is read as it comes", async (t) => {
    const { gateway, lanes } = await startFast(t);
    const bytes = `${head(`GET ${echo}/a`)}${post(echo, '{"text":"b"}', "Connection: close")}`;
    const socket = await connectTo(gateway.port);
    const answer = readUntil(socket, () => false);
    for (const byte of Buffer.from(bytes)) {
      await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.match(await answer, /"text":"a".*HTTP\/1\.1 200 OK.*"text":"b"/s);
    assert.deepEqual(await lanes(2), ["fast", "fast"]);
  });

  test("observers see its requests as those of Node's lane", async (t) => {
    const seen: string[] = [];
    const { gateway } = await startFast(t, {
      httpObservers: [
        {
          httpRequest: (route, method, status, seconds) => {
            assert.ok(seconds >= 0 && seconds < 60);
            seen.push(`${method} ${route} ${status}`);
          },
        },
      ],
    });
    const bytes = `${head(`GET ${echo}/a`)}${post(rpc, "{")}${head("HEAD /livez", "Connection: close")}`;
    await exchangeBytes(gateway.port, bytes);
    assert.deepEqual(seen, [`GET ${echo}/{text} 200`, `POST ${rpc} 400`, "HEAD (none) 200"]);
  });

  test("serves TLS, and knows the identity of the client", async (t) => {
    const authority = createCertificate({ name: "authority" });
    const server = createCertificate({ name: "server", hosts: ["127.0.0.1"], issuer: authority });
    const client = createCertificate({ name: "client", uris: ["spiffe://a/b"], issuer: authority });
    const { gateway, lanes } = await startFast(t, {
      tls: { cert: server.cert, key: server.key, ca: authority.cert, clientCertificates: "required" },
    });
    const { cert, key } = client;
    const { port } = gateway;
    const socket = connectTls({ port, host: "127.0.0.1", ca: authority.cert, cert, key });
    socket.write(head(`GET ${echo}/a`, "Connection: close"));
    const answer = await readUntil(socket, () => false);
    assert.match(bodyOf(answer), /"x-forwarded-client-cert":"Hash=.*;URI=spiffe:\/\/a\/b"/);
    assert.deepEqual(await lanes(1), ["fast"]);
    assert.equal(answersIn(answer), 1);
  });
});

suite("the fast lane stands aside", () => {
  const good = head(`GET ${echo}/a`);
  const last = head(`GET ${echo}/last`, "Connection: close");

  /** What an application does, and the line by which the server says that it sees that. */
  const uses: readonly (readonly [what: string, use: (http: HttpServer) => void, line: RegExp])[] = [
    [
      "a listener for requests",
      ({ fastify }) => fastify.server.on("request", () => {}),
      /listener for request$/,
    ],
    [
      "a listener that is prepended",
      ({ fastify }) => fastify.server.prependListener("request", () => {}),
      /listener for request$/,
    ],
    [
      "a listener for errors of clients",
      ({ fastify }) => fastify.server.on("clientError", () => {}),
      /listener for clientError$/,
    ],
    ["a timeout", ({ fastify }) => fastify.server.setTimeout(60_000), /server\.timeout was changed$/],
    [
      "a shorter keep-alive",
      ({ fastify }) => (fastify.server.keepAliveTimeout = 1000),
      /server\.keepAliveTimeout was changed$/,
    ],
    [
      "most requests of a connection",
      ({ fastify }) => (fastify.server.maxRequestsPerSocket = 1000),
      /server\.maxRequestsPerSocket was changed$/,
    ],
    [
      "an emit that a tracing library has replaced",
      ({ fastify: { server } }) => {
        const emit = server.emit.bind(server);
        server.emit = (...args: Parameters<typeof emit>) => emit(...args);
      },
      /server\.emit was replaced$/,
    ],
  ];
  for (const [what, use, line] of uses) {
    test(`for ${what}, and the server says so`, async (t) => {
      const { gateway, lanes } = await startFast(t, {}, use);
      assert.match(gateway.http.describe().find((text) => text.includes("HTTP/1.1")) ?? "", line);
      await exchangeBytes(gateway.port, good + last);
      assert.deepEqual(await lanes(2), ["node", "node"]);
    });
  }

  test("for a listener that is added later, from the next request on", async (t) => {
    const { gateway, lanes } = await startFast(t);
    assert.doesNotMatch(gateway.http.describe().join(), /HTTP\/1\.1/);
    const socket = await connectTo(gateway.port);
    socket.write(good);
    await once(socket, "data");
    const urls: (string | undefined)[] = [];
    gateway.http.fastify.server.on("request", ({ url }) => urls.push(url));
    socket.write(last);
    await readUntil(socket, () => false);
    assert.deepEqual(await lanes(2), ["fast", "node"]);
    assert.deepEqual(urls, [`${echo}/last`]);
    assert.match(
      gateway.http.describe().join(),
      /HTTP\/1\.1 is read by node:http: .* a listener for request/,
    );
  });

  test("for subscribers of Node's channels, while there are any", async (t) => {
    const { gateway, lanes } = await startFast(t);
    const urls: (string | undefined)[] = [];
    const note = (message: unknown): void => {
      const { request } = message as { readonly request: IncomingMessage }; // As Node documents the channel.
      urls.push(request.url);
    };
    subscribe("http.server.request.start", note);
    try {
      await exchangeBytes(gateway.port, last);
    } finally {
      unsubscribe("http.server.request.start", note);
    }
    await exchangeBytes(gateway.port, last);
    assert.deepEqual(await lanes(2), ["node", "fast"]);
    assert.deepEqual(urls, [`${echo}/last`]);
  });

  test("for no listener that sees its requests all the same", async (t) => {
    const seen: string[] = [];
    const { gateway, lanes } = await startFast(t, {}, ({ fastify: { server } }) => {
      server.on("connection", () => seen.push("connection"));
      server.on("upgrade", (_request, socket) => {
        seen.push("upgrade");
        socket.destroy();
      });
      server.on("checkContinue", () => seen.push("checkContinue"));
      server.on("close", () => {});
    });
    await exchangeBytes(gateway.port, good + last);
    const ws = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    await exchangeBytes(
      gateway.port,
      head(`GET ${echo}/a`, ...ws, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
    );
    const expects = post(echo, "{}", "Expect: 100-continue", "Connection: close");
    await exchangeBytes(gateway.port, expects);
    assert.deepEqual((await lanes(2)).slice(0, 2), ["fast", "fast"]);
    assert.deepEqual(seen, ["connection", "connection", "upgrade", "connection", "checkContinue"]);
  });
});
