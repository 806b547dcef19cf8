import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { fastify, type FastifyInstance } from "fastify";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";

/** The warnings of this process while `work` runs. */
async function warningsOf(work: () => Promise<void>): Promise<string[]> {
  const heard: string[] = [];
  const listener = ({ message }: Error): void => void heard.push(message);
  process.on("warning", listener);
  try {
    await work();
    await new Promise(setImmediate); // They come a turn later.
  } finally {
    process.off("warning", listener);
  }
  return heard;
}

const behind = "routes of your own come before those of rpcs";
const echoRoute = "GET /test/v1/echo/{text} → tsms.test.v1.EchoService/Echo";

/** Routes of the user's own, and the line about each; undefined for none. */
const table: readonly (readonly [method: "GET" | "POST", url: string, line: string | undefined])[] = [
  ["GET", "/test/v1/echo/mine", echoRoute],
  ["GET", "/test/v1/echo/:name", echoRoute],
  ["GET", "/test/v1/echo/:name?", echoRoute],
  ["GET", "/test/v1/echo/a-:name", echoRoute],
  ["GET", "/test/:version/echo/x", echoRoute],
  ["GET", "/test/*", `${echoRoute} and 1 more`],
  [
    "POST",
    "/tsms.test.v1.EchoService/Echo",
    "POST /tsms.test.v1.EchoService/Echo → tsms.test.v1.EchoService/Echo",
  ],
  ["GET", "/", undefined],
  ["GET", "/test/v1/echo", undefined],
  ["GET", "/test/v1/echo/", undefined],
  ["POST", "/test/v1/echo/mine", undefined],
  ["GET", "/test/v1/echo/mine/more", undefined],
  ["GET", "/test/v1/:a/:b/:c", undefined],
  ["GET", "/files/*", undefined],
];

suite("a route of the user's own that takes requests from an rpc is warned of", () => {
  for (const [method, url, line] of table) {
    test(`${method} ${url}: ${line ?? "takes none"}`, async () => {
      const heard = await warningsOf(async () => {
        await using _ = await startGateway({}, [], (http) => {
          http.fastify.route({ method, url, handler: () => "own" });
        });
      });
      const due = `HTTP: the route ${method} ${url} of your own answers requests for ${line}: ${behind}`;
      assert.deepEqual(heard, line === undefined ? [] : [due]);
    });
  }

  test("one for everything ends the start, as no path is left", async () => {
    for (const url of ["/*", "*"]) {
      const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0 }).addService(EchoService);
      http.fastify.get(url, () => "own");
      await assert.rejects(http.start(), {
        message: `HTTP: the route GET ${url} of your own leaves no path to the rpcs: give it a narrower one`,
      });
      await http.gracefulStop();
    }
  });

  test("in an app that has the rpcs as a plugin, before and behind it", async () => {
    const echo = new Echo();
    const http = new HttpServer({ upstream: new GrpcServer({ listen: false }).addService(echo) });
    http.addService(echo);
    const own = (app: FastifyInstance, url: string): void => void app.post(url, () => "own");
    const heard = await warningsOf(async () => {
      const app = fastify();
      own(app, "/api/test/v1/echo");
      own(app, "/test/v1/collect");
      await app.register(http.plugin, { prefix: "/api" });
      own(app, "/api/test/v1/:any");
      await app.ready();
      await app.close();
    });
    assert.deepEqual(heard, [
      `HTTP: the route POST /test/v1/echo of your own answers requests for POST /test/v1/echo → tsms.test.v1.EchoService/Echo: ${behind}`,
      `HTTP: the route POST /test/v1/:any of your own answers requests for POST /test/v1/echo → tsms.test.v1.EchoService/Echo and 2 more: ${behind}`,
    ]);
  });
});

suite("a gateway without services is warned of", () => {
  const line =
    "HTTP: the gateway starts without services, so that every request is 404: give it those of its upstream by http.addService(…)";
  for (const [title, awaitServices, due] of [
    ["where none are to come", false, [line]],
    ["but not where they come later", true, []],
  ] as const) {
    test(title, async () => {
      const heard = await warningsOf(async () => {
        await using http = new HttpServer({ upstream: "127.0.0.1:1", port: 0, awaitServices });
        await http.start();
      });
      assert.deepEqual(heard, due);
    });
  }
});
