import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import type { DialOptions } from "../../../src/core/dial.ts";
import { failure } from "../../support/failure.ts";
import { Program } from "../../support/program.ts";
import { dialSeveral, Load, severalServers, until } from "../../support/several-servers.ts";

/** How long anything may take on a machine with other load, in milliseconds: what is waited for is an event. */
const patienceMs = 60_000;

/** A client of a process that can be stopped, and of a server that is well. */
async function withProcess(t: TestContext, options: Partial<DialOptions>) {
  const program = new Program("test/behaviour/transports/fixtures/echo-server.ts");
  t.after(() => program[Symbol.asyncDispose]());
  const [, port] = await program.line(/^port (\d+)$/);
  const [well] = await severalServers(t, 1);
  const dialled = dialSeveral(t, [`127.0.0.1:${port}`, well?.address ?? ""], {
    balance: "round_robin",
    ...options,
  });
  await dialled.transport.ready();
  await until(dialled.transport, () => dialled.transport.stats().cluster?.connections === 2);
  const first = () => dialled.transport.stats().endpoints[0];
  return { ...dialled, program, first };
}

test("D11: a process that is stopped is ejected after deadlines of a second, and called again after it goes on", async (t) => {
  const { client, program, first } = await withProcess(t, {
    outlier: { baseMs: 1_500, returnMs: 0 },
  });
  program.kill("SIGSTOP");
  const load = new Load(10, () => client.echo({}, { timeoutMs: 1_500 }));
  t.after(() => load.stop());
  const isOut = (): boolean => (first()?.load?.ejectedForMs ?? 0) > 0;
  await load.until(isOut);
  // While it is out it gets no call, and others are served.
  const { attempts = 0 } = first()?.load ?? {};
  const served = load.done;
  await load.until(() => load.done >= served + 10);
  if (isOut()) assert.equal(first()?.load?.attempts, attempts);
  program.kill("SIGCONT");
  await load.until(() => !isOut() && (first()?.load?.attempts ?? 0) > attempts);
  await load.stop();
  assert.deepEqual(
    load.errors.filter(({ code }) => code !== Code.DeadlineExceeded),
    [],
  );
});

test("D11: keepalive finds a process that is stopped: its calls are UNAVAILABLE, and others go elsewhere", async (t) => {
  const { client, transport, program, first } = await withProcess(t, {
    keepalive: { timeMs: 100, timeoutMs: 100 },
    connectTimeoutMs: 200,
    outlier: { baseMs: 100 },
  });
  program.kill("SIGSTOP");
  const replies = Array.from({ length: 4 }, () => client.echo({}));
  const results = await Promise.allSettled(replies);
  assert.equal(results.filter(({ status }) => status === "rejected").length, 2);
  await until(transport, () => first()?.state !== "ready");
  for (let call = 0; call < 10; call++) await client.echo({}, { timeoutMs: 5_000 });
  program.kill("SIGCONT");
  const load = new Load(1, () => client.echo({})); // Calls shorten the pauses between attempts to connect.
  t.after(() => load.stop());
  const before = first()?.load?.attempts ?? 0;
  await load.until(() => first()?.state === "ready" && (first()?.load?.attempts ?? 0) > before);
});

test("D11: with a time limit of attempts no call is lost, and a process that is stopped is ejected after five of them", async (t) => {
  const { client, program, first } = await withProcess(t, {
    // A machine with other load lets attempts at the server that is well be late too, and they are tried again.
    retryBudget: { reserve: 1_000 },
    policies: [
      {
        selector: "tsms.test.v1.EchoService/Echo",
        idempotency: "IDEMPOTENT",
        retry: { attemptTimeoutMs: 600, maxAttempts: 10 },
      },
    ],
  });
  const callers = 8;
  const load = new Load(callers, () => client.echo({}, { timeoutMs: patienceMs }));
  t.after(() => load.stop());
  await load.until(() => load.done > 20);
  program.kill("SIGSTOP");
  await load.until(() => (first()?.load?.ejectedForMs ?? 0) > 0);
  // Five failures in a row eject it; those that every caller has under way then may fail too.
  const { failures = 0 } = first()?.load ?? {};
  assert.ok(failures >= 5 && failures <= 5 + callers, `${failures} failures`);
  await load.stop();
  assert.deepEqual(load.errors, []);
});

test("short deadlines of callers eject no process, and the caller's own cancel neither", async (t) => {
  const { client, program, first } = await withProcess(t, {});
  program.kill("SIGSTOP");
  const late = Array.from({ length: 40 }, () =>
    client.echo({}, { timeoutMs: 50 }).catch((error: unknown) => error),
  );
  await Promise.all(late);
  const controller = new AbortController();
  const cancelled = Array.from({ length: 20 }, () => client.echo({}, { signal: controller.signal }));
  const outcomes = Promise.allSettled(cancelled);
  controller.abort();
  await outcomes;
  assert.equal(first()?.load?.ejectedForMs, 0);
  assert.equal(first()?.load?.failures, 0);
  program.kill("SIGCONT");
  await failure(client.echo({ behaviour: { failure: { code: Code.NotFound } } }), Code.NotFound);
});

test("streams that were answered and end with their deadlines eject nothing", async (t) => {
  const { client, transport } = await withProcess(t, {});
  const streams = Array.from({ length: 20 }, async () => {
    const messages = client.repeat({ count: 1_000_000, intervalMs: 100 }, { timeoutMs: 1_050 });
    let count = 0;
    for await (const _ of messages) count++;
    return count;
  });
  const ends = await Promise.allSettled(streams);
  assert.ok(ends.every(({ status }) => status === "rejected"));
  for (const { load } of transport.stats().endpoints) {
    assert.equal(load?.ejectedForMs, 0);
    assert.equal(load.failures, 0);
  }
});
