import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../../src/core/dial.ts";
import { all, each, failure } from "../../support/failure.ts";
import {
  allEcho,
  idempotent,
  scriptedEcho,
  unavailable,
  unavailableFor,
} from "../../support/scripted-echo.ts";
import { dialSeveral } from "../../support/several-servers.ts";

suite("retries", { concurrency: true }, () => {
  test("an idempotent call has three attempts, the handler knows their number", async (t) => {
    const { address, previous } = await scriptedEcho(t, (index) => (index < 2 ? unavailable() : "good"));
    const { client, transport } = dialSeveral(t, [address], { policies: [idempotent()] });
    assert.equal((await client.echo({})).text, "good");
    assert.deepEqual(previous, [0, 1, 2]);
    assert.deepEqual(transport.stats().cluster?.attempts, { first: 1, transparent: 0, retry: 2, hedge: 0 });
  });

  test("inside interceptors a handler knows the number too", async (t) => {
    const answer = (index: number) => (index < 1 ? unavailable() : "good");
    const passes: Interceptor = (next) => (request) => next(request);
    const options = { interceptors: [passes] };
    const { address, previous } = await scriptedEcho(t, answer, {}, options);
    const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
    await client.echo({});
    assert.deepEqual(previous, [0, 1]);
  });

  test("the last error is the caller's after the last attempt", async (t) => {
    const { address, previous } = await scriptedEcho(t, (index) => unavailable(`number ${index}`));
    const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
    const error = await failure(client.echo({}), Code.Unavailable);
    assert.equal(error.rawMessage, "number 2");
    assert.equal(previous.length, 3);
  });

  test("other calls are not tried again, unless a policy names the rpc with its codes", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => new ConnectError("no", Code.Aborted));
    const plain = dialSeveral(t, [address]);
    await failure(plain.client.echo({}), Code.Aborted);
    const wide = dialSeveral(t, [address], {
      policies: [{ selector: allEcho, retry: { codes: [Code.Aborted] } }],
    });
    await failure(wide.client.echo({}), Code.Aborted);
    assert.equal(previous.length, 2);
    const named = {
      selector: "tsms.test.v1.EchoService/Echo",
      retry: { codes: [Code.Aborted], maxAttempts: 2 },
    };
    const { client } = dialSeveral(t, [address], { policies: [named] });
    await failure(client.echo({}), Code.Aborted);
    assert.equal(previous.length, 4);
  });

  test("errors with other codes are final", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => new ConnectError("no", Code.NotFound));
    const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
    await failure(client.echo({}), Code.NotFound);
    assert.equal(previous.length, 1);
  });

  test("headers and trailers of failed attempts are forgotten", async (t) => {
    const { address } = await scriptedEcho(t, (index, context) => {
      context.responseHeader.set(`x-head-${index}`, "1");
      context.responseTrailer.set(`x-tail-${index}`, "1");
      return index === 0 ? unavailable() : "good";
    });
    const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
    let header = new Headers();
    let trailer = new Headers();
    await client.echo({}, { onHeader: (all) => (header = all), onTrailer: (all) => (trailer = all) });
    assert.deepEqual(
      [...header.keys()].filter((name) => name.startsWith("x-")),
      ["x-head-1"],
    );
    assert.deepEqual(
      [...trailer.keys()].filter((name) => name.startsWith("x-")),
      ["x-tail-1"],
    );
  });

  test("further attempts go to other servers", async (t) => {
    const bad = await scriptedEcho(t, () => unavailable());
    const good = await scriptedEcho(t, () => "good");
    const options = { policies: [idempotent()], balance: "round_robin" as const };
    const { client, transport } = dialSeveral(t, [bad.address, good.address], options);
    await transport.ready();
    for (let call = 0; call < 10; call++) assert.equal((await client.echo({})).text, "good");
  });

  test("a pause that would pass the deadline is not made: the error comes at once", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => unavailable());
    const policies = [idempotent({ retry: { initialBackoffMs: 10_000, maxBackoffMs: 10_000 } })];
    const { client, transport } = dialSeveral(t, [address], { policies });
    await transport.ready();
    const began = performance.now();
    await failure(client.echo({}, { timeoutMs: 5_000 }), Code.Unavailable);
    assert.ok(performance.now() - began < 4_000);
    assert.equal(previous.length, 1);
  });

  test("the budget of a target denies what is beyond it", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => unavailable());
    const options = { policies: [idempotent()], retryBudget: { reserve: 3, ratio: 0 } };
    const { client, transport } = dialSeveral(t, [address], options);
    for (let call = 0; call < 10; call++) await failure(client.echo({}), Code.Unavailable);
    assert.equal(previous.length, 13);
    assert.equal(transport.stats().cluster?.retryBudget, 0);
  });

  test("a server says when, or never", async (t) => {
    const when = await scriptedEcho(t, (index) => (index === 0 ? unavailableFor(150) : "good"));
    const slow = dialSeveral(t, [when.address], { policies: [idempotent()] });
    const began = performance.now();
    assert.equal((await slow.client.echo({})).text, "good");
    assert.ok(performance.now() - began >= 149);

    const far = await scriptedEcho(t, () => unavailableFor(31_000));
    await failure(
      dialSeveral(t, [far.address], { policies: [idempotent()] }).client.echo({}),
      Code.Unavailable,
    );
    const never = await scriptedEcho(t, () => unavailableFor(-1));
    await failure(
      dialSeveral(t, [never.address], { policies: [idempotent()] }).client.echo({}),
      Code.Unavailable,
    );
    assert.deepEqual([far.previous.length, never.previous.length], [1, 1]);
  });

  test("a time limit of attempts ends one, and another follows", async (t) => {
    let cancelled = 0;
    const { address, previous } = await scriptedEcho(t, (index, context) => {
      if (index > 0) return `${Math.ceil((context.timeoutMs() ?? 0) / 1000)} s`;
      return new Promise((resolve) => {
        context.signal.addEventListener("abort", () => {
          cancelled++;
          resolve("late");
        });
      });
    });
    const policies = [idempotent({ retry: { attemptTimeoutMs: 3_000 } })];
    const { client, transport } = dialSeveral(t, [address], {
      policies: [...policies, { selector: "*", retry: { attemptTimeoutMs: 1_000 } }],
    });
    await transport.ready();
    assert.equal((await client.echo({})).text, "1 s");
    assert.deepEqual([previous, cancelled], [[0, 1], 1]);
    assert.equal(transport.stats().cluster?.inFlight, 0);
  });

  test("without a further attempt its time limit ends the call", async (t) => {
    const { address } = await scriptedEcho(t, () => new Promise(() => {}));
    const policies = [{ selector: allEcho, retry: { attemptTimeoutMs: 50 } }];
    const { client } = dialSeveral(t, [address], { name: "users", policies });
    const error = await failure(client.echo({}), Code.DeadlineExceeded);
    assert.equal(error.rawMessage, "users: no reply within 50 ms");
  });

  test("a stream is tried again until its headers have come, with all of its requests", async (t) => {
    let calls = 0;
    const texts: string[] = [];
    const { address } = await scriptedEcho(t, () => "", {
      async *chat(requests) {
        const mine = calls++;
        for await (const { text } of requests) {
          if (mine === 0 && text === "two") throw unavailable();
          if (mine > 0) texts.push(text);
        }
        yield { text: "first" };
        throw unavailable("after the first");
      },
    });
    const { client, transport } = dialSeveral(t, [address], { policies: [idempotent()] });
    const replies: string[] = [];
    await assert.rejects(async () => {
      for await (const { text } of client.chat(each({ text: "one" }, { text: "two" }, { text: "three" }))) {
        replies.push(text);
      }
    }, /after the first/);
    assert.deepEqual([texts, replies, calls], [["one", "two", "three"], ["first"], 2]);
    assert.equal(transport.stats().cluster?.attempts.retry, 1);
  });

  test("a stream whose requests are more than the buffer has one attempt", async (t) => {
    let calls = 0;
    const { address } = await scriptedEcho(t, () => "", {
      async collect(requests) {
        calls++;
        for await (const request of requests) void request;
        throw unavailable();
      },
    });
    const policies = [idempotent({ retry: { bufferBytes: 1_000 } })];
    const { client } = dialSeveral(t, [address], { policies });
    await failure(client.collect(each({ payload: new Uint8Array(2_000) })), Code.Unavailable);
    assert.equal(calls, 1);
    await failure(client.collect(each({ payload: new Uint8Array(500) })), Code.Unavailable);
    assert.equal(calls, 4);
  });

  test("a server stream is tried again until its first message", async (t) => {
    let calls = 0;
    const { address } = await scriptedEcho(t, () => "", {
      async *repeat() {
        if (calls++ === 0) throw unavailable();
        yield { text: "good" };
      },
    });
    const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
    const replies = await all(client.repeat({}));
    assert.deepEqual([replies.map(({ text }) => text), calls], [["good"], 2]);
  });

  test("K12: of a chain of three with default policies one layer retries", async (t) => {
    const last = await scriptedEcho(t, () => unavailable());
    const toLast = dialSeveral(t, [last.address], { policies: [idempotent()] });
    const middle = await scriptedEcho(t, async () => (await toLast.client.echo({})).text);
    const { client } = dialSeveral(t, [middle.address], { policies: [idempotent()] });
    await failure(client.echo({}), Code.Unavailable);
    assert.deepEqual([middle.previous.length, last.previous.length], [1, 3]);
    // The error of a call that was never tried again tells its callers nothing.
    const plain = dialSeveral(t, [last.address]);
    const other = await scriptedEcho(t, async () => (await plain.client.echo({})).text);
    await failure(
      dialSeveral(t, [other.address], { policies: [idempotent()] }).client.echo({}),
      Code.Unavailable,
    );
    assert.equal(other.previous.length, 3);
  });

  test("a server that was dialled by its address is called without retries", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => unavailable());
    const transport = dial(address);
    t.after(() => transport.close());
    await failure(createClient(EchoService, transport).echo({}), Code.Unavailable);
    assert.equal(previous.length, 1);
    assert.deepEqual(transport.policies(EchoService), []);
  });
});
