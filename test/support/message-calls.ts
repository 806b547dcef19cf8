import assert from "node:assert/strict";
import { StockService } from "../../gen/tsms/test/v1/messages_pb.ts";
import type { Gate } from "../../src/core/admission/gate.ts";
import { createClient } from "../../src/core/call/client.ts";
import type { HandlerContext } from "../../src/core/call/context.ts";
import { type ServiceImpl, service } from "../../src/core/call/service.ts";
import { dial } from "../../src/core/dial.ts";
import { Code, ConnectError, invalidArgument } from "../../src/core/errors/errors.ts";
import { unavailableFor } from "../../src/core/errors/retry-info.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import type { Broker } from "../../src/messaging/broker.ts";
import { messageOf } from "../../src/messaging/message-context.ts";
import type { GivenMessageOptions } from "../../src/messaging/message-server-options.ts";
import { MessageServer } from "../../src/messaging/message-server.ts";
import { failure } from "./failure.ts";

/** Where the calls of StockService are read. */
export const stockTopic = "tsms.test.v1.StockService";

/** Handlers of StockService behind a server of messages. @param gates of the server that has the handlers */
export async function serveStock(
  broker: Broker,
  handlers: Partial<ServiceImpl<typeof StockService>>,
  options: Partial<GivenMessageOptions> = {},
  gates: readonly Gate[] = [],
) {
  const grpc = new GrpcServer({ listen: false, logger: false, gates });
  const stock = service(StockService, handlers);
  grpc.addService(stock);
  const messages = new MessageServer({ logger: false, ...options, broker, upstream: grpc });
  messages.addService(stock);
  await grpc.start();
  await messages.start();
  const stop = async (graceMs: number): Promise<void> => {
    await messages.gracefulStop({ graceMs });
    await grpc.gracefulStop({ graceMs });
  };
  return { grpc, messages, stop, [Symbol.asyncDispose]: () => stop(1_000) };
}

/** What handlers of calls do with each broker. */
export interface MessageCall {
  readonly name: string;
  /** @param broker makes a broker of a process of its own */
  readonly run: (broker: () => Promise<Broker>) => Promise<void>;
}

/** No call may leave anything behind. */
async function noDeadLetters({ messages }: { readonly messages: MessageServer }): Promise<void> {
  assert.equal(await messages.deadLetters(stockTopic, "stock").count(), 0);
}

/** Calls by a typed client through a broker, which are the same with each broker that carries replies. */
export const messageCalls: readonly MessageCall[] = [
  {
    name: "17 a call is answered by its handler, with headers and trailers, within the deadline of its caller",
    async run(open) {
      let seen: { readonly timeoutMs: number | undefined; readonly id: string | undefined } | undefined;
      await using served = await serveStock(await open(), {
        count({ sku }, context) {
          seen = { timeoutMs: context.timeoutMs(), id: messageOf(context)?.id };
          context.responseHeader.set("x-head", sku);
          context.responseTrailer.set("x-tail", "2");
          return { count: 7 };
        },
      });
      const client = createClient(StockService, dial(await open()));
      const got: (string | null)[] = [];
      const { count } = await client.count(
        { sku: "A1" },
        {
          timeoutMs: 8_000,
          onHeader: (all) => got.push(all.get("x-head")),
          onTrailer: (all) => got.push(all.get("x-tail")),
        },
      );
      assert.equal(count, 7);
      assert.deepEqual(got, ["A1", "2"]);
      const { timeoutMs = 0, id } = seen ?? {};
      assert.ok(timeoutMs > 0 && timeoutMs <= 8_000, String(timeoutMs));
      assert.ok(id);
      // Its caller may have the reply before the broker confirms it, which settles the call.
      const settled = (): object => served.messages.subscriptions[0]?.settled ?? {};
      while (Object.keys(settled()).length === 0) await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(settled(), { ok: 1 });
    },
  },
  {
    name: "17 a failure is the reply, with details, headers and trailers: once, and no dead letter",
    async run(open) {
      let runs = 0;
      await using served = await serveStock(await open(), {
        sell(_, context) {
          runs++;
          context.responseHeader.set("x-head", "1");
          context.responseTrailer.set("x-tail", "2");
          const error = invalidArgument("sku is unknown", [{ field: "sku", description: "is unknown" }]);
          error.metadata.set("x-own", "3");
          throw error;
        },
      });
      const client = createClient(StockService, dial(await open()));
      const error = await failure(client.sell({ sku: "A1" }), Code.InvalidArgument);
      assert.equal(error.rawMessage, "sku is unknown");
      assert.equal(error.details.length, 1);
      const { metadata } = error;
      assert.deepEqual(
        ["x-head", "x-tail", "x-own"].map((name) => metadata.get(name)),
        ["1", "2", "3"],
      );
      assert.equal(runs, 1);
      await noDeadLetters(served);
    },
  },
  {
    name: "17 what a message would be tried again for is the reply of a call, and its handler runs once",
    async run(open) {
      const failures = [
        unavailableFor("away", 1_500),
        new ConnectError("no", Code.Aborted),
        new Error("secret"),
      ];
      let runs = 0;
      await using served = await serveStock(await open(), {
        count() {
          throw failures[runs++] ?? new Error("one run too many");
        },
      });
      const client = createClient(StockService, dial(await open()));
      const away = await failure(client.count({}), Code.Unavailable);
      assert.equal(away.rawMessage, "away");
      assert.equal(away.details.length, 1);
      await failure(client.count({}), Code.Aborted);
      const internal = await failure(client.count({}), Code.Internal);
      assert.doesNotMatch(internal.rawMessage, /secret/);
      assert.equal(runs, 3);
      await noDeadLetters(served);
    },
  },
  {
    name: "17 at the deadline of its caller a call ends on both sides",
    async run(open) {
      const aborted = Promise.withResolvers<ConnectError>();
      await using served = await serveStock(await open(), {
        count: (_, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener("abort", () => {
              aborted.resolve(signal.reason as ConnectError); // Of our contexts.
              reject(signal.reason as Error); // The same.
            });
          }),
      });
      const client = createClient(StockService, dial(await open()));
      const startedMs = performance.now();
      await failure(client.count({}, { timeoutMs: 400 }), Code.DeadlineExceeded);
      const tookMs = performance.now() - startedMs;
      assert.ok(tookMs >= 350 && tookMs < 1_000, String(tookMs));
      assert.equal((await aborted.promise).code, Code.DeadlineExceeded);
      await noDeadLetters(served);
    },
  },
  {
    name: "17 HTTP in front of a broker in front of a handler",
    async run(open) {
      await using served = await serveStock(await open(), {
        count: ({ sku }) => {
          if (sku === "none") throw new ConnectError("no such sku", Code.NotFound);
          return { count: sku.length };
        },
      });
      const http = new HttpServer({ upstream: dial(await open()), port: 0, logger: false });
      http.addService(StockService);
      await http.start();
      try {
        const { port } = http.address ?? { port: 0 };
        const post = (sku: string) =>
          fetch(`http://127.0.0.1:${port}/${stockTopic}/Count`, {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ sku }),
          });
        const good = await post("A1");
        assert.deepEqual([good.status, await good.json()], [200, { count: 2 }]);
        const bad = await post("none");
        assert.equal(bad.status, 404);
        assert.equal(((await bad.json()) as { message?: string }).message, "no such sku");
      } finally {
        await http.gracefulStop();
      }
      await noDeadLetters(served);
    },
  },
  {
    name: "M23 18 a cancelled call aborts its handler within 200 ms, and one that waits is not run",
    async run(open) {
      const begun: string[] = [];
      const first = Promise.withResolvers<void>();
      const aborted = Promise.withResolvers<number>();
      const hold = async ({ sku }: { readonly sku: string }, { signal }: HandlerContext): Promise<object> => {
        begun.push(sku);
        if (sku !== "held") return { count: 1 };
        first.resolve();
        await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        aborted.resolve(performance.now());
        throw signal.reason;
      };
      await using served = await serveStock(await open(), { count: hold }, { concurrency: 1, prefetch: 2 });
      const client = createClient(StockService, dial(await open()));
      // The note finds its consumer as soon as that listens.
      await client.count({ sku: "before" });
      const [running, waiting] = [new AbortController(), new AbortController()];
      const held = failure(client.count({ sku: "held" }, { signal: running.signal }), Code.Canceled);
      await first.promise;
      const queued = failure(client.count({ sku: "queued" }, { signal: waiting.signal }), Code.Canceled);
      const received = (): number => served.messages.subscriptions[0]?.received ?? 0;
      while (received() < 3) await new Promise((resolve) => setImmediate(resolve));
      waiting.abort();
      await queued;
      const cancelledAt = performance.now();
      running.abort();
      await held;
      const tookMs = (await aborted.promise) - cancelledAt;
      assert.ok(tookMs < 200, `${tookMs} ms`);
      await client.count({ sku: "after" });
      assert.deepEqual(begun, ["before", "held", "after"]);
      const statistics = () => served.messages.subscriptions[0];
      // Its caller may have the last reply before the broker confirms it.
      while (statistics()?.inFlight !== 0) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(statistics()?.buffered, 0);
      await noDeadLetters(served);
    },
  },
  {
    name: "18 a call whose consumer has ended runs again if it is idempotent, else its outcome is unknown",
    async run(open) {
      const begun: string[] = [];
      const bothBegun = Promise.withResolvers<void>();
      const hang =
        (name: string) =>
        (_: unknown, { signal }: HandlerContext) =>
          new Promise<never>((_resolve, reject) => {
            begun.push(name);
            if (begun.length === 2) bothBegun.resolve();
            signal.addEventListener("abort", () => reject(signal.reason as Error)); // Of our contexts.
          });
      const first = await serveStock(await open(), { count: hang("count"), sell: hang("sell") });
      const client = createClient(StockService, dial(await open()));
      const counted = client.count({}, { timeoutMs: 20_000 });
      const sold = failure(client.sell({}, { timeoutMs: 20_000 }), Code.Unavailable);
      await bothBegun.promise;
      await using served = await serveStock(await open(), {
        count: () => ({ count: 9 }),
        sell: () => {
          begun.push("sell again");
          return { left: 1 };
        },
      });
      await first.stop(0);
      assert.equal((await counted).count, 9);
      const error = await sold;
      assert.equal(error.rawMessage, "the consumer ended during the call; its outcome is unknown");
      assert.deepEqual(begun.toSorted(), ["count", "sell"]);
      await noDeadLetters(served);
    },
  },
  {
    name: "18, 40 a call that waits while its consumer stops runs elsewhere if it is idempotent, else was not run",
    async run(open) {
      const held = Promise.withResolvers<object>();
      const begun = Promise.withResolvers<void>();
      const first = await serveStock(
        await open(),
        {
          sell: () => {
            begun.resolve();
            return held.promise;
          },
        },
        { concurrency: 1, prefetch: 4 },
      );
      const client = createClient(StockService, dial(await open()));
      const options = { timeoutMs: 20_000 };
      const running = client.sell({}, options);
      await begun.promise;
      const sold = failure(client.sell({}, options), Code.Unavailable);
      const counted = client.count({}, options);
      const untilMs = performance.now() + 5_000;
      while (first.messages.subscriptions[0]?.buffered !== 2) {
        assert.ok(performance.now() < untilMs, "the calls do not come");
        await new Promise(setImmediate);
      }
      await using served = await serveStock(await open(), { count: () => ({ count: 9 }) });
      const stopped = first.stop(5_000);
      held.resolve({ left: 3 });
      assert.equal((await running).left, 3);
      assert.equal((await sold).rawMessage, "not run: the consumer stops");
      assert.equal((await counted).count, 9);
      await stopped;
      await noDeadLetters(served);
    },
  },
];
