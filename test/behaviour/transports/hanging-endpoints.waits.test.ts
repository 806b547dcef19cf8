import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import type { DialOptions } from "../../../src/core/dial.ts";
import { failure } from "../../support/failure.ts";
import { Program } from "../../support/program.ts";
import { dialSeveral, Load, severalServers, until } from "../../support/several-servers.ts";

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
  const { client, transport, program, first } = await withProcess(t, {
    outlier: { baseMs: 300, returnMs: 0 },
  });
  program.kill("SIGSTOP");
  const replies = Array.from({ length: 10 }, () => client.echo({}, { timeoutMs: 1_020 }));
  const results = await Promise.allSettled(replies);
  const lost = results.filter(({ status }) => status === "rejected");
  assert.equal(lost.length, 5);
  assert.ok((first()?.load?.ejectedForMs ?? 0) > 0);
  for (let call = 0; call < 10; call++) await client.echo({}, { timeoutMs: 5_000 });
  program.kill("SIGCONT");
  await until(transport, () => first()?.load?.ejectedForMs === 0);
  const before = first()?.load?.attempts ?? 0;
  for (let call = 0; call < 10; call++) await client.echo({}, { timeoutMs: 5_000 });
  assert.equal(first()?.load?.attempts, before + 5);
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
