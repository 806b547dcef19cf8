import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { failure } from "../../support/failure.ts";
import { allEcho, idempotent, scriptedEcho, unavailable } from "../../support/scripted-echo.ts";
import { dialSeveral, Load, probeDue, severalServers, until } from "../../support/several-servers.ts";

suite("faults and policies", { concurrency: true }, () => {
  test("D10: while one of three servers refuses, no call that may be sent twice is lost", async (t) => {
    const servers = await severalServers(t, 3);
    const addresses = servers.map(({ address }) => address);
    const { client, transport } = dialSeveral(t, addresses, { policies: [idempotent()] });
    await transport.ready();
    await until(transport, () => transport.stats().cluster?.connections === 3);
    const load = new Load(8, () => client.echo({}));
    await load.until(() => load.done >= 50);
    await servers[0]?.front.kill();
    const { done } = load;
    await load.until(() => load.done >= done + 300);
    await load.stop();
    assert.deepEqual(load.errors, []);
  });

  test("D13: while all calls fail, attempts are at most 1.2 times the calls", async (t) => {
    const { address, previous } = await scriptedEcho(t, () => unavailable());
    const policies = [idempotent({ retry: { initialBackoffMs: 1, maxBackoffMs: 1 } })];
    const { client } = dialSeveral(t, [address], { policies });
    for (let call = 0; call < 300; call++) await failure(client.echo({}), Code.Unavailable);
    assert.ok(previous.length > 330 && previous.length <= 360, `${previous.length} attempts`);
    assert.ok(Math.max(...previous) <= 2);
  });

  test("D15: behind a gateway an open circuit is 503 with Retry-After, and one call is its probe", async (t) => {
    let probes = 0;
    let isGood = false;
    let answer: () => void = () => {};
    const { address, previous } = await scriptedEcho(t, async () => {
      if (!isGood) return unavailable();
      probes++;
      await new Promise<void>((resolve) => (answer = resolve));
      return "good";
    });
    const policies = [
      // With the jitter of 10 % it stays open for less than a second.
      { selector: allEcho, circuitBreaker: { minCalls: 5, openForMs: 900, maxOpenForMs: 900 } },
    ];
    const { transport } = dialSeveral(t, [address], { name: "echo", policies });
    const http = new HttpServer({ port: 0, upstream: transport }).addService(EchoService);
    await http.start();
    t.after(() => http.gracefulStop({ graceMs: 0 }));
    const call = (): Promise<Response> =>
      fetch(`http://127.0.0.1:${http.address?.port}/tsms.test.v1.EchoService/Echo`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      });
    for (let index = 0; index < 5; index++) assert.equal((await call()).status, 503);
    const refused = await call();
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
    assert.match(await refused.text(), /"code":14.*echo: circuit open for tsms\.test\.v1\.EchoService\.Echo/);
    assert.equal(previous.length, 5);
    isGood = true;
    await probeDue(transport);
    const many = [1, 2, 3, 4].map(call);
    const others = await Promise.all(many.map((one) => Promise.race([one, probed()])));
    async function probed(): Promise<undefined> {
      while (probes === 0) await new Promise(setImmediate);
      await new Promise((resolve) => setTimeout(resolve, 200));
      return undefined;
    }
    assert.deepEqual(
      others.map((one) => one?.status ?? 0).toSorted((a, b) => a - b),
      [0, 503, 503, 503],
    );
    answer();
    await Promise.all(many);
    assert.equal(probes, 1);
    assert.equal(transport.stats().cluster?.breakers[0]?.state.kind, "closed");
  });
});
