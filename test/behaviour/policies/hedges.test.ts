import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { HedgeInit } from "../../../src/core/policy/method-policy.ts";
import { each, failure } from "../../support/failure.ts";
import {
  idempotent,
  scriptedEcho,
  unavailable,
  type Answer,
  type Scripted,
} from "../../support/scripted-echo.ts";
import { dialSeveral, until } from "../../support/several-servers.ts";

/** Two servers with the same answers, and a client that hedges. */
async function two(t: TestContext, answer: Answer, hedge: HedgeInit, more: object = {}) {
  let calls = 0;
  const both: Answer = (_, context) => answer(calls++, context);
  const others = {
    async collect() {
      return {};
    },
  };
  const servers: Scripted[] = [await scriptedEcho(t, both, others), await scriptedEcho(t, both, others)];
  const { client, transport } = dialSeveral(
    t,
    servers.map(({ address }) => address),
    {
      policies: [idempotent({ hedge: { maxExtra: 1, ...hedge }, ...more })],
      balance: "round_robin",
      outlier: false,
    },
  );
  await transport.ready();
  await until(transport, () => transport.stats().cluster?.connections === 2);
  return { client, transport, servers, calls: () => calls };
}

/** An answer that comes when its call is cancelled. */
function untilCancelled({ signal }: HandlerContext, cancelled: () => void): Promise<string> {
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => {
      cancelled();
      resolve("late");
    });
  });
}

suite("hedging", { concurrency: true }, () => {
  test("K14: the first reply counts, the loser is reset", async (t) => {
    let isCancelled = false;
    const { client, transport, servers } = await two(
      t,
      (index, context) => {
        context.responseTrailer.set("x-attempt", String(index));
        return index === 0 ? untilCancelled(context, () => (isCancelled = true)) : "good";
      },
      { delayMs: 20 },
    );
    let trailer = new Headers();
    assert.equal((await client.echo({}, { onTrailer: (all) => (trailer = all) })).text, "good");
    assert.equal(trailer.get("x-attempt"), "1");
    assert.equal(
      servers.flatMap(({ previous }) => previous).reduce((sum, one) => sum + one, 0),
      1,
    );
    // It is reset with the reply: on its connection the reset comes before whatever is called next.
    for (let call = 0; call < 2; call++) await client.collect(each({}));
    assert.ok(isCancelled);
    const { cluster, endpoints } = transport.stats();
    assert.deepEqual(cluster?.attempts, { first: 3, transparent: 0, retry: 0, hedge: 1 });
    assert.equal(cluster.inFlight, 0);
    assert.deepEqual(
      endpoints.map(({ load }) => load?.failures),
      [0, 0],
    );
  });

  test("a code of the policy begins the next attempt at once, others end the call", async (t) => {
    const never = { delayMs: 2 ** 31 - 1 };
    const first = await two(t, (index) => (index === 0 ? unavailable() : "good"), never);
    assert.equal((await first.client.echo({})).text, "good");
    const fatal = await two(t, () => new ConnectError("no", Code.NotFound), never);
    await failure(fatal.client.echo({}), Code.NotFound);
    assert.equal(fatal.calls(), 1);
  });

  test("K14: both fail", async (t) => {
    const { client, transport, calls } = await two(t, (index) => unavailable(`number ${index}`), {
      delayMs: 10,
    });
    const error = await failure(client.echo({}), Code.Unavailable);
    assert.equal(error.rawMessage, "number 1");
    assert.equal(calls(), 2);
    assert.equal(transport.stats().cluster?.inFlight, 0);
  });

  test("K14: the caller cancels, or its deadline passes", async (t) => {
    let cancelled = 0;
    const { client, transport, calls } = await two(
      t,
      (_, context) => untilCancelled(context, () => cancelled++),
      { delayMs: 5 },
      { concurrency: { max: 1 } },
    );
    const controller = new AbortController();
    const call = failure(client.echo({}, { signal: controller.signal }), Code.Canceled);
    while (calls() < 2) await new Promise(setImmediate);
    controller.abort();
    await call;
    await failure(client.echo({}, { timeoutMs: 100 }), Code.DeadlineExceeded);
    // Whatever of it has come to a server before the deadline is cancelled there.
    while (cancelled < calls()) await new Promise(setImmediate);
    const { cluster } = transport.stats();
    assert.equal(cluster?.inFlight, 0);
    assert.ok(cluster.attempts.hedge >= 1);
  });

  test("a lone endpoint is not hedged, and further attempts stay below their share", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => unavailable());
    const { client } = dialSeveral(t, [address], {
      policies: [idempotent({ hedge: { delayMs: 1, maxExtra: 1 } })],
    });
    await failure(client.echo({}), Code.Unavailable);
    assert.equal(previous.length, 1);
    const few = await two(t, () => unavailable(), { delayMs: 1, maxExtra: 0.1 });
    for (let call = 0; call < 100; call++) await failure(few.client.echo({}), Code.Unavailable);
    assert.ok(few.calls() <= 110 && few.calls() > 100, `${few.calls()} attempts`);
  });

  test("client streams of such rpcs are tried again one attempt after the other", async (t) => {
    let calls = 0;
    const { address } = await scriptedEcho(t, () => "", {
      async collect() {
        if (calls++ === 0) throw unavailable();
        return { count: 1 };
      },
    });
    const { client } = dialSeveral(t, [address], { policies: [idempotent({ hedge: {} })] });
    assert.equal((await client.collect(each({}))).count, 1);
    assert.equal(calls, 2);
  });
});

/** What a server does with the call of this number, from 0. */
type Replies = (index: number, context: HandlerContext) => AsyncGenerator<{ text: string }>;

/** Two servers with the same streams, and a client that hedges. */
async function twoStreams(t: TestContext, replies: Replies, hedge: HedgeInit, more: object = {}) {
  let calls = 0;
  const both = { repeat: (_: unknown, context: HandlerContext) => replies(calls++, context) };
  const servers = [await scriptedEcho(t, () => "", both), await scriptedEcho(t, () => "", both)];
  const { client, transport } = dialSeveral(
    t,
    servers.map(({ address }) => address),
    {
      policies: [idempotent({ hedge: { maxExtra: 1, ...hedge }, ...more })],
      balance: "round_robin",
      outlier: false,
    },
  );
  await transport.ready();
  await until(transport, () => transport.stats().cluster?.connections === 2);
  return { client, transport, calls: () => calls };
}

async function textsOf(replies: AsyncIterable<{ text: string }>, into: string[] = []): Promise<string[]> {
  for await (const { text } of replies) into.push(text);
  return into;
}

suite("hedging of server streams", { concurrency: true }, () => {
  const soon: HedgeInit = { delayMs: 20 };
  const never: HedgeInit = { delayMs: 2 ** 31 - 1 };

  test("the stream that begins first counts, and the other is reset before it ends", async (t) => {
    let cancelled = false;
    let resetSeen: () => void = () => {};
    const reset = new Promise<void>((resolve) => (resetSeen = resolve));
    const { client, transport } = await twoStreams(
      t,
      async function* (index, context) {
        if (index === 0) {
          await untilCancelled(context, () => (cancelled = true));
          resetSeen();
          return;
        }
        context.responseHeader.set("x-attempt", String(index));
        context.responseTrailer.set("x-end", String(index));
        yield { text: "first" };
        await reset; // Its stream goes on while the other one ends.
        yield { text: "last" };
      },
      soon,
    );
    let header = new Headers();
    let trailer = new Headers();
    const replies = client.repeat(
      {},
      { onHeader: (all) => (header = all), onTrailer: (all) => (trailer = all) },
    );
    assert.deepEqual(await textsOf(replies), ["first", "last"]);
    assert.ok(cancelled);
    assert.equal(header.get("x-attempt"), "1");
    assert.equal(trailer.get("x-end"), "1");
    const { cluster, endpoints } = transport.stats();
    assert.deepEqual(cluster?.attempts, { first: 1, transparent: 0, retry: 0, hedge: 1 });
    assert.equal(cluster.inFlight, 0);
    assert.deepEqual(
      endpoints.map(({ load }) => load?.failures),
      [0, 0],
    );
  });

  test("the first attempt may win too, with as many replies as it likes", async (t) => {
    const { client, calls, transport } = await twoStreams(
      t,
      async function* (index, context) {
        if (index > 0) await untilCancelled(context, () => {});
        else while (calls() < 2) await new Promise(setImmediate);
        for (let reply = 0; reply < 3_000; reply++) yield { text: `${index} ${"x".repeat(100)}` };
      },
      soon,
    );
    const texts = await textsOf(client.repeat({}));
    assert.equal(texts.length, 3_000);
    assert.ok(texts.every((text) => text.startsWith("0 ")));
    assert.equal(transport.stats().cluster?.inFlight, 0);
  });

  test("a code of the policy begins the next attempt at once, others end the call", async (t) => {
    const first = await twoStreams(
      t,
      async function* (index) {
        if (index === 0) throw unavailable();
        yield { text: "good" };
      },
      never,
    );
    assert.deepEqual(await textsOf(first.client.repeat({})), ["good"]);
    const fatal = await twoStreams(
      t,
      // eslint-disable-next-line require-yield -- it fails at its begin
      async function* () {
        throw new ConnectError("no", Code.NotFound);
      },
      never,
    );
    await failure(textsOf(fatal.client.repeat({})), Code.NotFound);
    assert.equal(fatal.calls(), 1);
  });

  test("an error after the first reply is that of the call", async (t) => {
    const { client, calls } = await twoStreams(
      t,
      async function* () {
        yield { text: "one" };
        throw unavailable("in the middle");
      },
      never,
    );
    const texts: string[] = [];
    const error = await failure(textsOf(client.repeat({}), texts), Code.Unavailable);
    assert.equal(error.rawMessage, "in the middle");
    assert.deepEqual(texts, ["one"]);
    assert.equal(calls(), 1);
  });

  test("K14: both fail, or the caller leaves", async (t) => {
    const failing = await twoStreams(
      t,
      // eslint-disable-next-line require-yield -- it fails at its begin
      async function* (index) {
        throw unavailable(`number ${index}`);
      },
      { delayMs: 10 },
    );
    const error = await failure(textsOf(failing.client.repeat({})), Code.Unavailable);
    assert.equal(error.rawMessage, "number 1");
    assert.equal(failing.transport.stats().cluster?.inFlight, 0);
    let cancelled = 0;
    const hanging = await twoStreams(
      t,
      // eslint-disable-next-line require-yield -- it never answers
      async function* (_, context) {
        await untilCancelled(context, () => cancelled++);
      },
      { delayMs: 5 },
      { concurrency: { max: 1 } },
    );
    for (const end of ["cancel", "deadline"]) {
      const before = hanging.calls();
      const controller = new AbortController();
      const options = end === "cancel" ? { signal: controller.signal } : { timeoutMs: 200 };
      const call = failure(
        textsOf(hanging.client.repeat({}, options)),
        end === "cancel" ? Code.Canceled : Code.DeadlineExceeded,
      );
      while (hanging.calls() < before + 2) await new Promise(setImmediate);
      controller.abort();
      await call;
    }
    while (cancelled < hanging.calls()) await new Promise(setImmediate);
    assert.equal(hanging.transport.stats().cluster?.inFlight, 0);
  });

  test("a caller that leaves the stream of a further attempt ends it", async (t) => {
    let cancelled = 0;
    const { client, transport } = await twoStreams(
      t,
      async function* (index, context) {
        if (index === 1) yield { text: "first" };
        await untilCancelled(context, () => cancelled++);
      },
      soon,
    );
    for await (const { text } of client.repeat({})) {
      assert.equal(text, "first");
      break;
    }
    while (cancelled < 2) await new Promise(setImmediate);
    assert.equal(transport.stats().cluster?.inFlight, 0);
  });
});
