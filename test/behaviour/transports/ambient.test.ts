import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test, type TestContext } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { ambient } from "../../../src/core/ambient/ambient.ts";
import { createClient, type Client } from "../../../src/core/call/client.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { service } from "../../../src/core/call/service.ts";
import { dial, type DialedTransport, type DialOptions } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer, type GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { all, each, failure } from "../../support/failure.ts";

type EchoClient = Client<typeof EchoService>;

/** A front server, whose handlers call a back server, and a client of the front. */
interface Chain {
  readonly back: Echo;
  readonly front: GrpcServer;
  readonly client: EchoClient;
  readonly toBack: DialedTransport;
}

interface ChainOptions {
  readonly network: boolean;
  readonly dial?: Partial<DialOptions>;
  readonly server?: Partial<GrpcServerOptions>;
}

async function chain(
  t: TestContext,
  { network, dial: dialOptions, server: serverOptions }: ChainOptions,
  handlers: (back: EchoClient) => Partial<PartialService<typeof EchoService>>,
): Promise<Chain> {
  const back = new Echo();
  const options = { port: 0, defaultTimeoutMs: 0, logger: false } as const;
  const backServer = new GrpcServer(options).addService(back);
  await backServer.start();
  const toBack = dial(backServer, { network, ambient, ...dialOptions });
  const front = new GrpcServer({ ...options, ambient, ...serverOptions });
  front.addService(service(EchoService, handlers(createClient(EchoService, toBack))));
  await front.start();
  const transport = dial(front, { network });
  t.after(async () => {
    transport.close();
    toBack.close();
    await Promise.all([front, backServer].map((server) => server.gracefulStop({ graceMs: 0 })));
  });
  return { back, front, client: createClient(EchoService, transport), toBack };
}

const headers = { authorization: "Bearer a", "x-request-id": "r", "x-other": "o" };

for (const network of [true, false]) {
  describe(`calls inside of handlers, ${network ? "over the network" : "in process"}`, () => {
    test("have the headers and the deadline of the call around them", async (t) => {
      const { client } = await chain(t, { network }, (back) => ({
        async echo({ text }) {
          await nextTurn();
          if (text === "own") {
            return back.echo({}, { headers: { authorization: "own" }, timeoutMs: 3_000 });
          }
          return back.echo({}, { timeoutMs: 60_000 });
        },
      }));
      const reply = await client.echo({}, { headers, timeoutMs: 5_000 });
      assert.equal(reply.headers["authorization"], "Bearer a");
      assert.equal(reply.headers["x-request-id"], "r");
      assert.equal(reply.headers["x-other"], undefined);
      assert.ok((reply.timeoutMs ?? Infinity) <= 5_000);
      const own = await client.echo({ text: "own" }, { headers, timeoutMs: 5_000 });
      assert.equal(own.headers["authorization"], "own");
      assert.equal(own.headers["x-request-id"], "r");
      assert.ok((own.timeoutMs ?? Infinity) <= 3_000);
      const none = await client.echo({});
      assert.ok((none.timeoutMs ?? 0) > 50_000 && (none.timeoutMs ?? 0) <= 60_000);
    });

    test("of every kind, and of interceptors", async (t) => {
      const seen: string[] = [];
      const note = async (back: EchoClient, where: string): Promise<void> => {
        const [reply] = await all(back.repeat({ count: 1 }));
        const { headers: found } = await back.echo({});
        seen.push(`${where} ${found["authorization"]} ${reply?.index}`);
      };
      let toBack: EchoClient | undefined;
      const { client } = await chain(
        t,
        {
          network,
          server: {
            interceptors: [
              (next) => async (request) => {
                if (toBack !== undefined) await note(toBack, "interceptor");
                return next(request);
              },
            ],
          },
        },
        (back) => {
          toBack = back;
          return {
            async *repeat() {
              await note(back, "repeat");
              yield {};
              await note(back, "repeat again");
              yield {};
            },
            async collect(requests) {
              for await (const _ of requests) await note(back, "collect");
              return {};
            },
            async *chat(requests) {
              for await (const { text } of requests) {
                const reply = await back.chat(each({ text }))[Symbol.asyncIterator]().next();
                await note(back, "chat");
                yield { text: reply.done === true ? "" : reply.value.text };
              }
            },
          };
        },
      );
      assert.equal((await all(client.repeat({}, { headers }))).length, 2);
      await client.collect(each({}, {}), { headers });
      const texts = await all(client.chat(each({ text: "a" }, { text: "b" }), { headers }));
      assert.deepEqual(
        texts.map(({ text }) => text),
        ["a", "b"],
      );
      const places = ["interceptor", "repeat", "repeat again", "interceptor", "collect", "collect"];
      places.push("interceptor", "chat", "chat");
      assert.deepEqual(
        seen,
        places.map((place) => `${place} Bearer a 0`),
      );
    });

    test("are cancelled with it", async (t) => {
      const { client, back } = await chain(t, { network }, (inner) => ({
        echo: () => inner.echo({ behaviour: { sleepMs: 60_000 } }),
        repeat: () => inner.repeat({ count: 1_000_000, intervalMs: 1 }),
      }));
      const controller = new AbortController();
      const cancelled = failure(client.echo({}, { signal: controller.signal }), Code.Canceled);
      await back.until(() => back.calls === 1);
      controller.abort();
      await cancelled;
      await failure(client.echo({}, { timeoutMs: 500 }), Code.DeadlineExceeded);
      for await (const _ of client.repeat({})) break;
      await back.until(() => back.aborted === 3);
    });

    test("after its end they have its headers only, and detached ones nothing", async (t) => {
      const late = Promise.withResolvers<EchoReply>();
      const detached: Promise<EchoReply>[] = [];
      const { client } = await chain(t, { network }, (back) => ({
        echo() {
          detached.push(ambient.detached(() => back.echo({})));
          void (async () => {
            await answered.promise;
            late.resolve(await back.echo({}));
          })();
          return {};
        },
      }));
      const answered = Promise.withResolvers<void>();
      await client.echo({}, { headers, timeoutMs: 5_000 });
      answered.resolve();
      const reply = await late.promise;
      assert.equal(reply.headers["authorization"], "Bearer a");
      assert.equal(reply.timeoutMs, undefined);
      const [own] = await Promise.all(detached);
      assert.deepEqual([own?.headers["authorization"], own?.timeoutMs], [undefined, undefined]);
    });

    test("without the option on both sides nothing is passed on", async (t) => {
      for (const options of [{ dial: { ambient: undefined } }, { server: { ambient: undefined } }]) {
        const { client } = await chain(t, { network, ...options }, (back) => ({ echo: () => back.echo({}) }));
        const reply = await client.echo({}, { headers, timeoutMs: 5_000 });
        assert.equal(reply.headers["authorization"], undefined);
        assert.equal(reply.timeoutMs, undefined);
      }
    });

    test("a call outside of handlers is part of none, even over a connection that a handler has opened", async (t) => {
      const { client, toBack } = await chain(t, { network }, (back) => ({ echo: () => back.echo({}) }));
      const inListener: Promise<EchoReply>[] = [];
      const outside = createClient(EchoService, toBack);
      toBack.onChange(() => {
        if (toBack.state === "ready") inListener.push(outside.echo({}));
      });
      await client.echo({}, { headers });
      for (const reply of [await outside.echo({}), ...(await Promise.all(inListener))]) {
        assert.equal(reply.headers["authorization"], undefined);
      }
      assert.equal(inListener.length > 0, network);
    });
  });
}

type EchoReply = Awaited<ReturnType<EchoClient["echo"]>>;

test("handlers behind a gateway of their process find their calls", async (t) => {
  const { front } = await chain(t, { network: true }, (back) => ({ echo: () => back.echo({}) }));
  const http = new HttpServer({ port: 0, upstream: front }).addService(EchoService);
  await http.start();
  t.after(() => http.gracefulStop({ graceMs: 0 }));
  const response = await fetch(`http://127.0.0.1:${http.address?.port}/test/v1/echo/a`, { headers });
  const reply = (await response.json()) as { headers: Record<string, string> };
  assert.equal(reply.headers["authorization"], "Bearer a");
});
