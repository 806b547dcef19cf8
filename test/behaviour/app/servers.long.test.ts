import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { App } from "../../../src/app/app.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { Exporter } from "../../../src/core/telemetry/exporter.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { bufCurl, curl } from "../../support/program.ts";
import { addressOf, takenPort } from "./app-fixture.ts";

/** An app with a gRPC and an HTTP server on free ports, and an `Echo`. */
function echoApp(echo = new Echo()): App {
  return new App()
    .register("grpc", ({ grpc }) => new GrpcServer({ ...grpc, port: 0 }))
    .register("http", ({ http }) => new HttpServer({ ...http, port: 0 }), { after: ["grpc"] })
    .addService(echo);
}

suite("start and stop", () => {
  test("A1 all servers start in the order of `after`, and stop in the reverse order", async () => {
    const events: string[] = [];
    const app = new App()
      .register("http", ({ http }) => new HttpServer({ ...http, port: 0 }), { after: ["grpc"] })
      .register("grpc", ({ grpc }) => new GrpcServer({ ...grpc, port: 0 }))
      .addService(new Echo());
    app.onStateChange((name, state) => {
      if (state === "ready" || state === "stop") events.push(`${name} ${state}`);
    });
    await app.start();
    await app.start(); // Starting what runs is no error.
    await app.stop();
    await app.stop();
    assert.deepEqual(events, ["grpc ready", "http ready", "http stop", "grpc stop"]);
  });

  test("A1 when one cannot start, those that were started are stopped, and the error names server and port", async () => {
    await using taken = await takenPort();
    const app = new App()
      .register("grpc", ({ grpc }) => new GrpcServer({ ...grpc, port: 0 }))
      .register("http", ({ http }) => new HttpServer({ ...http, port: taken.port }))
      .addService(new Echo());
    await assert.rejects(app.start(), {
      message: `the server "http" cannot start: HTTP cannot listen on 127.0.0.1:${taken.port}: address already in use (EADDRINUSE)`,
    });
    assert.deepEqual(
      app.servers.map(({ state, addresses }) => [state, addresses]),
      [
        ["stop", []],
        ["stop", []],
      ],
    );
  });

  test("A2 a server starts and stops any number of times, while the other one serves", async () => {
    await using app = echoApp();
    await app.start();
    const http = addressOf(app, "http");
    for (let i = 0; i < 3; i++) {
      await app.stop("grpc");
      assert.deepEqual([app.isRunning("grpc"), app.isRunning("http")], [false, true]);
      assert.equal((await curl(`http://${http}/test/v1/echo/a`)).status, 200);
      await app.stop("grpc"); // Stopping what does not run is no error.
      await app.start("grpc");
      assert.equal(
        (await bufCurl(addressOf(app, "grpc"), "tsms.test.v1.EchoService/Echo", '{"text":"x"}')).code,
        0,
      );
    }
    await app.restart("http");
    assert.equal((await curl(`http://${addressOf(app, "http")}/test/v1/echo/a`)).status, 200);
  });

  test("A2 unknown names are errors with all names", async () => {
    await using app = echoApp();
    const expected = { message: 'there is no server "htpp"; those of the app are "grpc", "http"' };
    await assert.rejects(app.start("htpp"), expected);
    await assert.rejects(async () => app.stop("htpp"), expected);
    assert.throws(() => app.isRunning("htpp"), expected);
    assert.throws(() => app.features("htpp"), expected);
    assert.throws(() => app.statistics("htpp"), expected);
    await assert.rejects(app.inject({ server: "htpp", url: "/" }), expected);
    assert.throws(() => new App().isRunning("http"), {
      message: 'there is no server "http"; none is registered',
    });
  });

  test("a name is registered once, and a server is made anew for each start", async () => {
    await using app = echoApp();
    assert.throws(() => app.register("grpc", ({ grpc }) => new GrpcServer(grpc)), {
      message: 'a server "grpc" is registered already',
    });
    const one = new GrpcServer({ port: 0 });
    app.register("one", () => one);
    await app.start("one");
    await app.stop("one");
    await assert.rejects(app.start("one"), {
      message: 'the server "one" cannot start: it is used already: make a new one for each start',
    });
  });

  for (const [what, after, message] of [
    [
      "a predecessor that is not there",
      ["nobody"],
      'the server "one" is to be started after "nobody", which is not registered',
    ],
    [
      "servers that wait for one another",
      ["two"],
      "servers cannot be started after one another: one → two → one",
    ],
  ] as const) {
    test(`${what} is an error of the start`, async () => {
      const app = new App()
        .register("one", ({ grpc }) => new GrpcServer({ ...grpc, port: 0 }), { after })
        .register("two", ({ grpc }) => new GrpcServer({ ...grpc, port: 0 }), { after: ["one"] });
      await assert.rejects(app.start(), { message });
    });
  }

  test("C04 a stop during the start leaves nothing behind", async () => {
    await using app = echoApp();
    for (const when of ["at once", "boot", "ready"]) {
      const states: string[] = [];
      let stopping: Promise<unknown> | undefined;
      const forget = app.onStateChange((name, state) => {
        states.push(`${name} ${state}`);
        if (state === when) stopping ??= app.stop();
      });
      const starting = app.start();
      if (when === "at once") stopping = app.stop();
      await assert.rejects(starting, /was stopped while it was starting/);
      await stopping;
      forget();
      assert.deepEqual(
        app.servers.map(({ isRunning, addresses }) => [isRunning, addresses]),
        [
          [false, []],
          [false, []],
        ],
        states.join(", "),
      );
    }
    await app.start();
    assert.ok(app.isRunning("grpc") && app.isRunning("http"));
  });

  test("C04 a stop of one server while it starts", async () => {
    await using app = echoApp();
    const starting = app.start("grpc");
    const stopped = app.stop("grpc");
    await assert.rejects(starting, {
      message: 'the server "grpc" cannot start: it was stopped while it was starting',
    });
    await stopped;
    assert.equal(app.isRunning("grpc"), false);
    await app.start("grpc");
    assert.ok(app.isRunning("grpc"));
  });

  test("C04 50 restarts of one server fail no call of the other one, and leave no listener", async () => {
    await using app = echoApp();
    await app.start();
    const url = `http://${addressOf(app, "http")}/test/v1/echo/a`;
    const statuses = new Map<number, number>();
    let restarting = true;
    const load = async (): Promise<void> => {
      while (restarting) {
        const response = await fetch(url);
        await response.arrayBuffer();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      }
    };
    const loads = Array.from({ length: 8 }, load);
    const before = listeners();
    for (let i = 0; i < 50; i++) await app.restart("grpc");
    restarting = false;
    await Promise.all(loads);
    assert.deepEqual([...statuses.keys()], [200]);
    assert.ok(listeners() <= before, "a listener was left");
  });
});

/** How many listeners this process has; those of tests before may be closing. */
function listeners(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "TCPServerWrap").length;
}

suite("health", () => {
  test("A3 each running server is asked through its own port; a stopped one is stopped", async () => {
    await using app = echoApp().register("metrics", () => new Exporter({ port: 0, metrics: new Metrics() }));
    await app.start();
    await app.stop("metrics");
    const health = await app.health();
    assert.deepEqual(
      Object.entries(health).map(([name, { status }]) => [name, status]),
      [
        ["grpc", "serving"],
        ["http", "serving"],
        ["metrics", "stopped"],
      ],
    );
    assert.ok((health["http"]?.latencyMs ?? 0) > 0);
    await app.start("metrics");
    assert.equal((await app.health())["metrics"]?.status, "serving");
  });

  test("A3 a hanging server is not-serving after two seconds", async () => {
    await using silent = await takenPort();
    const options = { port: 0, upstream: `127.0.0.1:${silent.port}`, healthTimeoutMs: 60_000 };
    await using app = new App().register("http", () => new HttpServer(options));
    await app.start();
    const { http } = await app.health();
    assert.deepEqual([http?.status, http?.error], ["not-serving", "no answer within 2000 ms"]);
    assert.ok((http?.latencyMs ?? 0) >= 1990 && (http?.latencyMs ?? 0) < 4000);
    await app.stop("http", { graceMs: 0 });
  });

  test("a failed critical check turns /readyz to 503 and health to NOT_SERVING, until it passes again", async () => {
    let problem: string | undefined;
    await using app = echoApp().addCheck(
      "database",
      () => {
        if (problem !== undefined) throw new Error(problem);
      },
      { intervalMs: 5 },
    );
    await app.start();
    const ready = `http://${addressOf(app, "http")}/readyz`;
    const grpc = addressOf(app, "grpc");
    const until = async (status: number): Promise<void> => {
      while ((await fetch(ready)).status !== status);
    };
    await until(200);
    problem = "no connection";
    await until(503);
    const { stdout } = await bufCurl(grpc, "grpc.health.v1.Health/Check", "{}");
    assert.deepEqual(JSON.parse(stdout), { status: "NOT_SERVING" });
    assert.equal((await curl(`http://${addressOf(app, "http")}/test/v1/echo/a`)).status, 200);
    const { http } = await app.health();
    assert.equal(http?.status, "not-serving");
    assert.deepEqual(
      [http?.checks["database"]?.status, http?.checks["database"]?.error],
      ["failing", "no connection"],
    );
    // A server that starts meanwhile does not serve either.
    await app.restart("grpc");
    assert.equal((await app.health())["grpc"]?.status, "not-serving");
    problem = undefined;
    await until(200);
    assert.equal((await app.health())["grpc"]?.status, "serving");
  });

  test("a check that is not critical, and one that answers too late or false", async () => {
    await using app = echoApp()
      .addCheck("search", () => false, { critical: false })
      .addCheck("cache", () => new Promise(() => {}), { critical: false, timeoutMs: 5 })
      .addCheck("queue", () => "fine");
    await app.start();
    const { http } = await app.health();
    assert.equal(http?.status, "serving");
    assert.deepEqual(
      Object.entries(http?.checks ?? {}).map(([name, { status, error }]) => [name, status, error]),
      [
        ["search", "failing", "the check has answered false"],
        ["cache", "failing", "no answer within 5 ms"],
        ["queue", "passing", undefined],
      ],
    );
  });

  test("checks have a name of their own and options that can be used", () => {
    const app = new App().addCheck("database", () => {});
    assert.throws(() => app.addCheck("database", () => {}), {
      message: 'a check "database" is added already',
    });
    assert.throws(() => app.addCheck("x", () => {}, { intervalMs: 0 }), {
      message: 'the check "x": intervalMs must be a number above 0, in milliseconds',
    });
  });
});

suite("inject", () => {
  test("A6 a request runs the whole path without a socket and without a port, from an address of its own", async () => {
    const echo = new Echo();
    const seen: (string | undefined)[] = [];
    const app = new App()
      .register("http", ({ http }) => {
        const server = new HttpServer({ ...http, port: 0, corsOrigins: ["https://page.example"] });
        server.fastify.addHook("onRequest", async (request) => void seen.push(request.ip));
        return server;
      })
      .addService(echo);
    const reply = await app.inject({
      method: "POST",
      url: "/test/v1/echo",
      headers: { "content-type": "application/json", origin: "https://page.example" },
      body: '{"text":"ä"}',
      remoteAddress: "203.0.113.9",
    });
    assert.equal(reply.status, 200);
    assert.equal((reply.json() as { text: string }).text, "ä"); // As the handler made it.
    assert.equal(reply.headers["access-control-allow-origin"], "https://page.example");
    assert.deepEqual(seen, ["203.0.113.9"]);
    assert.equal((await app.inject({ url: "/nowhere" })).status, 404);
    assert.equal(app.isRunning(), false);
    assert.deepEqual([app.statistics().totalRequests, app.statistics().refusedRequests], [2, 1]);
    await app.start();
    assert.equal((await app.inject({ url: "/readyz" })).status, 200);
    await app.stop();
  });

  test("a server without HTTP takes no request", async () => {
    await using app = echoApp();
    await assert.rejects(app.inject({ server: "grpc", url: "/" }), {
      message: 'the server "grpc" takes no requests by inject: it serves no HTTP; name one that does',
    });
  });
});

suite("statistics and features", () => {
  test("statistics count connections and calls of one server, over its restarts", async () => {
    await using app = echoApp();
    await app.start();
    const url = () => `http://${addressOf(app, "http")}/test/v1/echo`;
    const json = ["-H", "content-type: application/json"];
    await curl(`${url()}/a`);
    await curl(`${url()}/b`, `${url()}/c`);
    await curl(url(), ...json, "-d", '{"behaviour":{"failure":{"code":13}}}');
    await curl(url(), ...json, "-d", '{"behaviour":{"failure":{"code":5}}}');
    await bufCurl(addressOf(app, "grpc"), "tsms.test.v1.EchoService/Echo", "{}");
    await app.restart("http");
    await curl(`${url()}/d`);
    const {
      totalConnections,
      totalRequests,
      activeRequests,
      failedRequests,
      p50Ms,
      p99Ms,
      averageResponseTimeMs,
      sinceMs,
    } = app.statistics();
    assert.deepEqual([totalConnections, totalRequests, activeRequests, failedRequests], [5, 6, 0, 1]);
    assert.ok(p50Ms > 0 && p99Ms >= p50Ms && averageResponseTimeMs > 0);
    assert.ok(sinceMs <= Date.now());
    const grpc = app.statistics("grpc");
    assert.equal(grpc.totalRequests, 1 + 1); // By reflection too.
  });
});
