import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import {
  ChatRequestSchema,
  EchoService,
  RepeatRequestSchema,
  RepeatResponseSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { service } from "../../../src/core/call/service.ts";
import { all, each, failure } from "../../support/failure.ts";
import { everyWay } from "../../support/transport-rig.ts";

const count = 1_000;
const indexes = Array.from({ length: count }, (_, index) => index);
const payload = new Uint8Array([0, 1, 127, 128, 255]);

everyWay("unary: the message comes back whole", async (make) => {
  const { client } = await make();
  const reply = await client.echo({ text: "zwölf 🍎", payload, number: -9_007_199_254_740_993n });
  assert.equal(reply.$typeName, "tsms.test.v1.EchoResponse");
  assert.equal(reply.text, "zwölf 🍎");
  assert.deepEqual([...reply.payload], [...payload]);
  assert.equal(reply.number, -9_007_199_254_740_993n);
});

everyWay("bytes are a Uint8Array and no Buffer on both sides", async (make) => {
  const seen: unknown[] = [];
  const { client } = await make({
    service: service(EchoService, {
      echo(request) {
        seen.push(request.payload.constructor);
        return { payload: request.payload };
      },
    }),
  });
  const reply = await client.echo({ payload });
  assert.deepEqual([...seen, reply.payload.constructor], [Uint8Array, Uint8Array]);
});

everyWay("server stream: every message comes in order", async (make) => {
  const { client, echo } = await make();
  const replies = await all(client.repeat({ text: "r", payload, count }));
  assert.deepEqual(
    replies.map(({ index }) => index),
    indexes,
  );
  assert.ok(replies.every(({ text }) => text === "r"));
  assert.equal(echo.produced, count);
});

everyWay("server stream: no messages are a good end", async (make) => {
  const { client } = await make();
  assert.deepEqual(await all(client.repeat({ count: 0 })), []);
});

everyWay("client stream: every message comes in order", async (make) => {
  const { client } = await make();
  const reply = await client.collect(each(...indexes.map((index) => ({ text: String(index), payload }))));
  assert.deepEqual(reply.texts, indexes.map(String));
  assert.equal(reply.payloadBytes, BigInt(count * payload.length));
});

everyWay("client stream: no messages are a good call", async (make) => {
  const { client } = await make();
  assert.equal((await client.collect(each())).count, 0);
});

everyWay("bidi: every message is answered in order", async (make) => {
  const { client } = await make();
  const replies = await all(client.chat(each(...indexes.map((index) => ({ text: String(index) })))));
  assert.deepEqual(
    replies.map(({ text }) => text),
    indexes.map(String),
  );
  assert.deepEqual(
    replies.map(({ index }) => index),
    indexes,
  );
});

everyWay("bidi: a message can answer a reply", async (make) => {
  const { client } = await make();
  const seen: string[] = [];
  let answered: (() => void) | undefined;
  async function* requests() {
    for (let turn = 0; turn < 20; turn++) {
      const reply = new Promise<void>((resolve) => (answered = resolve));
      yield { text: `turn ${turn}` };
      await reply;
    }
  }
  for await (const { text } of client.chat(requests())) {
    seen.push(text);
    answered?.();
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, turn) => `turn ${turn}`),
  );
});

everyWay("empty messages are messages", async (make) => {
  const { client } = await make();
  assert.equal((await client.echo({})).text, "");
  assert.equal((await client.collect(each({}, {}, {}))).count, 3);
  assert.equal((await all(client.chat(each({}, {})))).length, 2);
});

everyWay("messages of almost 4 MiB pass in both directions", async (make) => {
  const { client } = await make();
  const big = new Uint8Array(4 * 1024 * 1024 - 1_024).fill(7);
  assert.ok(Buffer.from(big).equals((await client.echo({ payload: big })).payload));
  const replies = await all(client.chat(each({ payload: big }, { payload: big })));
  assert.deepEqual(
    replies.map((reply) => reply.payload.length),
    [big.length, big.length],
  );
});

everyWay("calls at the same time do not disturb one another", async (make) => {
  const { client, server } = await make();
  const calls = Array.from({ length: 60 }, async (_, call) => {
    const text = `call ${call}`;
    if (call % 3 === 0)
      assert.equal((await client.echo({ text, behaviour: { sleepMs: call % 7 } })).text, text);
    else if (call % 3 === 1) {
      const replies = await all(client.repeat({ text, count: 20 }));
      assert.deepEqual(
        replies.map((reply) => reply.text),
        Array.from({ length: 20 }, () => text),
      );
    } else assert.deepEqual((await client.collect(each({ text }, { text }))).texts, [text, text]);
  });
  await Promise.all(calls);
  await server.dispatcher.idle();
  assert.equal(server.dispatcher.inFlight, 0);
});

everyWay("a context tells about its call", async (make) => {
  const seen: Partial<HandlerContext>[] = [];
  const { client, protocol } = await make({
    service: service(EchoService, {
      echo(_request, context) {
        const { protocolName, requestMethod, url, method, service } = context;
        seen.push({ protocolName, requestMethod, url, method, service });
        return {};
      },
    }),
  });
  await client.echo({});
  assert.equal(seen[0]?.protocolName, protocol);
  assert.equal(seen[0]?.requestMethod, "POST");
  assert.equal(seen[0]?.url, "/tsms.test.v1.EchoService/Echo");
  assert.equal(seen[0]?.method, EchoService.method.echo);
  assert.equal(seen[0]?.service, EchoService);
});

everyWay("an rpc that is not implemented is UNIMPLEMENTED", async (make) => {
  const { client } = await make({ service: service(EchoService, {}) });
  const names = /tsms\.test\.v1\.EchoService\//;
  assert.match((await failure(client.echo({}), Code.Unimplemented)).rawMessage, names);
  await failure(all(client.repeat({})), Code.Unimplemented);
  await failure(client.collect(each({})), Code.Unimplemented);
  await failure(all(client.chat(each({}))), Code.Unimplemented);
});

everyWay("a service that is not registered is UNIMPLEMENTED", async (make) => {
  const { transport } = await make({ server: { health: false } });
  const client = createClient(Health, transport);
  await failure(client.check({}), Code.Unimplemented);
  await failure(all(client.watch({})), Code.Unimplemented);
});

everyWay("services of the server itself are called alike", async (make) => {
  const { transport } = await make();
  const { status } = await createClient(Health, transport).check({});
  assert.equal(status, 1);
});

for (const messages of [0, 2]) {
  everyWay(`G08: ${messages} messages for a server stream are UNIMPLEMENTED`, async (make) => {
    const { transport, echo } = await make();
    const requests = each(
      ...Array.from({ length: messages }, () => create(RepeatRequestSchema, { count: 1 })),
    );
    const call = async () => {
      const { method } = EchoService;
      const response = await transport.stream(method.repeat, undefined, undefined, undefined, requests);
      return all(response.message);
    };
    await failure(call(), Code.Unimplemented);
    assert.equal(echo.calls, 0);
  });
}

const wrong: readonly (readonly [string, unknown])[] = [
  ["undefined", undefined],
  ["null", null],
  ["a number", 5],
  ["a string", "text"],
  ["another message", create(RepeatRequestSchema)],
];

for (const [name, value] of wrong) {
  everyWay(`a handler that gives ${name} fails with INTERNAL`, async (make) => {
    const { client } = await make({
      service: service(EchoService, {
        // What the types forbid.
        echo: () => value as never,
        collect: async () => value as never,
        async *repeat() {
          yield { index: 0 };
          yield value as never;
        },
        chat: () => value as never,
      }),
    });
    for (const call of [
      () => client.echo({}),
      () => client.collect(each({})),
      () => all(client.chat(each({}))),
    ]) {
      const error = await failure(call(), Code.Internal);
      assert.equal(error.rawMessage, "internal error");
    }
    const seen: number[] = [];
    const repeat = async () => {
      for await (const { index } of client.repeat({})) seen.push(index);
    };
    await failure(repeat(), Code.Internal);
    assert.deepEqual(seen, [0]);
  });
}

everyWay("messages of the right type are passed as they are", async (make) => {
  const { client } = await make({
    service: service(EchoService, {
      async *repeat() {
        yield create(RepeatResponseSchema, { index: 3 });
      },
      async *chat(requests) {
        for await (const request of requests) {
          assert.equal(request.$typeName, ChatRequestSchema.typeName);
          yield { text: request.text };
        }
      },
    }),
  });
  assert.deepEqual(
    (await all(client.repeat({}))).map(({ index }) => index),
    [3],
  );
  assert.deepEqual(
    (await all(client.chat(each({ text: "a" })))).map(({ text }) => text),
    ["a"],
  );
});

everyWay("a call after the server stopped is UNAVAILABLE", async (make) => {
  const { client, server } = await make();
  await client.echo({});
  await server.gracefulStop({ graceMs: 0 });
  await failure(client.echo({}), Code.Unavailable);
  await failure(all(client.repeat({ count: 1 })), Code.Unavailable);
});
