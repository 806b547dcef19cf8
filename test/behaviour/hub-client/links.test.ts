/** How a client finds a way to its server, and what it does about errors. */
import assert from "node:assert/strict";
import { createServer, type RequestListener } from "node:http";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { FeedService } from "../../../gen/tsms/test/v1/feed_pb.ts";
import { connectHub, type HubClient } from "../../../src/hub-client/connect-hub.ts";
import type { HubClientOptions } from "../../../src/hub-client/hub-client-options.ts";
import { HubError } from "../../../src/hub-client/call/hub-error.ts";
import type { HubState } from "../../../src/hub-client/call/hub-state.ts";
import { Feed } from "../../support/feed-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { KillableFront } from "../../support/killable-front.ts";

const backoff = { initialMs: 10, maxMs: 20 };
const follow = "tsms.test.v1.FeedService/Follow";

/** A server of HTTP that answers as a test says, and what clients ask it. */
async function scripted(
  t: TestContext,
  answer: (...args: Parameters<RequestListener>) => void,
): Promise<{ url: string; requests: { path: string; headers: Record<string, unknown> }[] }> {
  const requests: { path: string; headers: Record<string, unknown> }[] = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? "", headers: request.headers });
    answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, requests };
}

function connect(t: TestContext, url: string, options: Partial<HubClientOptions> = {}): HubClient {
  const hub = connectHub(url, { backoff, ...options });
  t.after(() => hub.close());
  return hub;
}

/** The first state that a test looks for, of a new subscription. */
function stateOf(hub: HubClient, wanted: (state: HubState) => boolean): Promise<HubState> {
  return new Promise((resolve) => {
    hub.subscribe(
      follow,
      {},
      {
        message: () => {},
        state: (state) => void (wanted(state) && resolve(state)),
      },
    );
  });
}

/** Events are tried twice before another kind of link is. */
const inTurn = "sse,sse,poll";

const isOpen = ({ kind }: HubState): boolean => kind === "open";

describe("links", () => {
  test("where sockets do not open, events are used", async (t) => {
    await using gateway = await startGateway({ webSockets: false }, [new Feed(10)]);
    const state = await stateOf(connect(t, gateway.url), isOpen);
    assert.deepEqual(state, { kind: "open", link: "sse" });
  });

  test("where a proxy holds events back, polls are used", async (t) => {
    /** The links that a client tries, in the order in which the proxy is asked for them, until one is open. */
    const tried = async (connectTimeoutMs: number): Promise<readonly string[]> => {
      const { url, requests } = await scripted(t, ({ headers }, response) => {
        if (headers.prefer === undefined) return; // A proxy that waits for the end.
        response.writeHead(200, { "content-type": "application/json", "x-resume-token": "2" });
        response.end('[{"text":"a"}]');
      });
      const hub = connect(t, url, { transports: ["sse", "poll"], connectTimeoutMs });
      assert.deepEqual(await stateOf(hub, isOpen), { kind: "open", link: "poll" });
      hub.close();
      return requests.map(({ headers }) => (headers["accept"] === "text/event-stream" ? "sse" : "poll"));
    };
    let links = await tried(50);
    // On a busy machine a request may not have come when its time is over.
    for (const timeoutMs of [500, 5_000])
      if (links.slice(0, 3).join() !== inTurn) links = await tried(timeoutMs);
    assert.equal(links.slice(0, 3).join(), inTurn);
  });

  test("a kind of link that has worked is used again at once, also by another client", async (t) => {
    const { url, requests } = await scripted(t, (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" }).write(": open\n\n");
    });
    await stateOf(connect(t, url), isOpen);
    const before = requests.length;
    await stateOf(connect(t, url), isOpen);
    assert.deepEqual(
      requests.slice(before).map(({ path }) => path),
      [`/${follow}`],
    );
  });

  test("a client that is closed while it connects opens nothing, and does not try again", async (t) => {
    const waiting = Promise.withResolvers<void>();
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const upgraded = Promise.withResolvers<Duplex>();
    server.on("upgrade", (_, socket) => upgraded.resolve(socket));
    const address = server.address();
    const hub = connect(t, `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`);
    hub.subscribe(
      follow,
      {},
      { message: () => {}, state: ({ kind }) => void (kind === "closed" && waiting.resolve()) },
    );
    const socket = await upgraded.promise;
    hub.close();
    await waiting.promise;
    socket.destroy(); // The handshake fails.
    await once(socket, "close");
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    assert.deepEqual(hub.state, { kind: "closed", error: undefined });
  });

  test("where nothing works, it is not the kind of link: all are tried again", async (t) => {
    const front = new KillableFront(1);
    await front.start(); // Nothing is at its other side.
    t.after(() => front.kill());
    const hub = connect(t, `http://${front.address}`);
    const states: HubState[] = [];
    const feed = new Feed(10);
    await using gateway = await startGateway({ webSockets: false }, [feed]);
    await new Promise<void>((resolve) => {
      let waits = 0;
      hub.subscribe(
        follow,
        {},
        {
          message: () => {},
          state(state) {
            states.push(state);
            if (state.kind === "waiting" && ++waits === 8) resolve();
          },
        },
      );
    });
    for (const state of states) {
      assert.notEqual(state.kind, "open");
      if (state.kind === "waiting") assert.equal(state.error?.code, 14);
    }
    assert.ok(gateway.port > 0);
  });
});

describe("errors", () => {
  test("what another attempt would get again ends the subscription", async (t) => {
    await using gateway = await startGateway({ webSockets: false }, [new Feed(10)]);
    const hub = connect(t, gateway.url, { transports: ["sse"] });
    for (const [method, request, code] of [
      ["tsms.test.v1.FeedService/Nothing", {}, 5],
      [follow, { count: "many" }, 3],
    ] as const) {
      await assert.rejects(
        async () => {
          for await (const _ of hub.subscribe(method, request)) assert.fail("a message");
        },
        (error) => error instanceof HubError && error.code === code && error.message !== "",
      );
    }
    await assert.rejects(
      async () => {
        for await (const _ of hub.subscribe("no path", {})) assert.fail("a message");
      },
      { code: 3, message: '"no path" is not package.Service/Method' },
    );
    await assert.rejects(
      async () => {
        for await (const _ of hub.subscribe(FeedService.method.follow, { count: -1 }))
          assert.fail("a message");
      },
      { code: 3, message: /^count: expected an integer/ },
    );
  });

  test("a refused token is asked for anew, once", async (t) => {
    let asked = 0;
    const { url, requests } = await scripted(t, ({ headers }, response) => {
      if (headers.authorization === "Bearer 2") {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.end('data: {"text":"a"}\n\nevent: end\ndata: {"trailers":{}}\n\n');
      } else
        response.writeHead(401, { "content-type": "application/json" }).end('{"code":16,"message":"no"}');
    });
    const hub = connect(t, url, { transports: ["sse"], token: () => String(++asked) });
    const texts: unknown[] = [];
    for await (const { text } of hub.subscribe(follow, {})) texts.push(text);
    assert.deepEqual(texts, ["a"]);
    assert.deepEqual(
      requests.map(({ headers }) => headers["authorization"]),
      ["Bearer 1", "Bearer 2"],
    );
    await hub.refresh();
    await assert.rejects(
      async () => {
        for await (const _ of hub.subscribe(follow, {})) assert.fail("a message");
      },
      { code: 16, message: "no" },
    );
    assert.equal(asked, 4);
  });

  test("a token that cannot be had is told, and asked for again", async (t) => {
    const told: unknown[] = [];
    let asked = 0;
    const { url } = await scripted(t, (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end('event: end\ndata: {"trailers":{}}\n\n');
    });
    const hub = connect(t, url, {
      transports: ["sse"],
      onError: (error) => told.push(error),
      async token() {
        if (++asked === 1) throw new Error("no network");
        return "good";
      },
    });
    for await (const _ of hub.subscribe(follow, {})) assert.fail("a message");
    assert.deepEqual(told.map(String), ["Error: no network"]);
  });

  test("everything else comes back, no sooner than the server says", async (t) => {
    let calls = 0;
    const times: number[] = [];
    const { url, requests } = await scripted(t, (_, response) => {
      times.push(performance.now());
      const events = (text: string): void => {
        response.writeHead(200, { "content-type": "text/event-stream" }).end(text);
      };
      switch (++calls) {
        case 1:
          response.writeHead(503, { "retry-after": "0.1" }).end("busy");
          break;
        case 2:
          events(
            'id: 7\ndata: {"text":"a"}\n\nretry: 100\nevent: error\ndata: {"code":14,"message":"stops"}\n\n',
          );
          break;
        case 3:
          events(
            'event: error\ndata: {"code":8,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"0.1s"}]}\n\n',
          );
          break;
        default:
          events(
            'event: reset\nid: 9\ndata: {"reason":"EXPIRED","missed":3}\n\ndata: {"text":"b"}\n\nevent: end\ndata: {}\n\n',
          );
      }
    });
    const hub = connect(t, url, { transports: ["sse"] });
    const seen: unknown[] = [];
    const done = Promise.withResolvers<void>();
    hub.subscribe(
      follow,
      {},
      {
        message: ({ text }) => seen.push(text),
        reset: (reset) => seen.push(reset),
        state: ({ kind }) => void (kind === "closed" && done.resolve()),
      },
    );
    await done.promise;
    assert.deepEqual(seen, ["a", { reason: "EXPIRED", room: undefined, missed: 3 }, "b"]);
    for (const [index, at] of times.slice(1).entries()) {
      const waited = at - (times[index] ?? 0);
      assert.ok(waited >= 99, `attempt ${index + 2} came after ${waited} ms`);
    }
    assert.deepEqual(
      requests.map(({ headers }) => headers["last-event-id"]),
      [undefined, undefined, "7", "7"],
    );
  });
});

describe("calls", () => {
  test("are made once, with messages of either kind", async (t) => {
    await using gateway = await startGateway();
    const hub = connect(t, gateway.url, { transports: ["sse"] });
    assert.equal((await hub.call(EchoService.method.echo, { text: "a" })).text, "a");
    assert.equal((await hub.call("tsms.test.v1.EchoService/Echo", { text: "b" }))["text"], "b");
    const failing = { behaviour: { failure: { code: 9, message: "not now" } } };
    await assert.rejects(hub.call(EchoService.method.echo, failing), { code: 9, message: "not now" });
    assert.equal(gateway.echo.calls, 3);
  });

  test("fail with UNAVAILABLE while there is no connection", async (t) => {
    const front = new KillableFront(1);
    await front.start();
    await front.kill(); // Nothing is at its port.
    const hub = connect(t, `http://${front.address}`, { backoff: { initialMs: 60_000, maxMs: 60_000 } });
    await stateOf(hub, ({ kind }) => kind === "waiting");
    await assert.rejects(hub.call("tsms.test.v1.EchoService/Echo", {}), {
      code: 14,
      message: "there is no connection",
    });
    hub.close();
    await assert.rejects(hub.call("tsms.test.v1.EchoService/Echo", {}), {
      code: 1,
      message: "the client is closed",
    });
    assert.deepEqual(hub.state, { kind: "closed", error: undefined });
  });
});
