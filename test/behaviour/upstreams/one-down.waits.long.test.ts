import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { service as serviceOf } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Upstreams } from "../../../src/gateway/upstreams/upstreams.ts";
import { KillableFront } from "../../support/killable-front.ts";
import { quantile } from "../../support/catalog-churn.ts";
import { madeContract, type MadeContract } from "../../support/made-contracts.ts";

async function server(t: TestContext, { service }: MadeContract) {
  /** Calls with the name `held` wait for this. */
  const released = Promise.withResolvers<void>();
  let held = 0;
  let arrived = (): void => {};
  const get0 = async ({ name }: { name: string }): Promise<object> => {
    if (name === "held") {
      held++;
      arrived();
      await released.promise;
    }
    return { name, text: service.typeName };
  };
  const grpc = new GrpcServer({ port: 0, logger: false });
  grpc.addService(serviceOf<DescService>(service, { get0 } as object));
  await grpc.start();
  const front = await new KillableFront(grpc.address?.port ?? 0).start();
  t.after(async () => {
    await front.kill();
    await grpc.gracefulStop({ graceMs: 0 });
  });
  const release = (): void => released.resolve();
  /** Resolves when so many calls are held. */
  const holds = async (count: number): Promise<void> => {
    while (held < count) await new Promise<void>((resolve) => (arrived = resolve));
  };
  return { grpc, front, release, holds };
}

async function gateway(t: TestContext) {
  const [users, orders] = [madeContract("users.v1"), madeContract("orders.v1")];
  const [one, two] = [await server(t, users), await server(t, orders)];
  const upstreams = new Upstreams(
    {
      users: { target: one.front.address, services: [users.service] },
      orders: { target: two.front.address, services: [orders.service] },
    },
    { logger: false },
  );
  const http = new HttpServer({ port: 0, upstream: upstreams, awaitServices: true, logger: false });
  const served = upstreams.serve(http);
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await served;
  });
  await upstreams.ready(AbortSignal.timeout(10_000));
  const url = `http://127.0.0.1:${http.address?.port}`;
  const status = async (path: string): Promise<number> => {
    const response = await fetch(url + path);
    await response.arrayBuffer();
    return response.status;
  };
  while ((await status("/orders.v1/get0/a")) !== 200) await wait(20);
  return { one, two, http, upstreams, served, status };
}

test("one upstream of two down: the calls of the other are all answered, as fast as before", async (t) => {
  const { two, status } = await gateway(t);
  /** Within which time 90 % of the calls end, in milliseconds, while calls of the other upstream have this status. */
  const round = async (ofOther: number): Promise<number> => {
    const durations: number[] = [];
    let isOver = false;
    const others = (async () => {
      for (; !isOver; await wait(5)) assert.equal(await status("/orders.v1/get0/a"), ofOther);
    })();
    for (let call = 0; call < 150; call++) {
      const startedMs = performance.now();
      assert.equal(await status("/users.v1/get0/a"), 200);
      durations.push(performance.now() - startedMs);
    }
    isOver = true;
    await others;
    return quantile(durations, 0.9);
  };
  await round(200);
  const calm = await round(200);
  await two.front.kill();
  assert.equal(await status("/orders.v1/get0/a"), 503);
  // Of several rounds the best one counts: other work on the machine makes any of them slower.
  const allowed = 1.1 * calm + 20;
  let down = await round(503);
  for (let rounds = 1; rounds < 5 && down > allowed; rounds++) down = Math.min(down, await round(503));
  t.diagnostic(`p90 ${calm.toFixed(2)} ms, then ${down.toFixed(2)} ms`);
  assert.ok(down <= allowed, `p90 ${down} ms, before ${calm} ms`);
  await two.front.start();
  while ((await status("/orders.v1/get0/a")) !== 200) await wait(20);
});

test("Z03: a stop of the gateway completes calls to both upstreams, and closes them", async (t) => {
  const { one, two, http, upstreams, served, status } = await gateway(t);
  const calls = [status("/orders.v1/get0/held"), status("/users.v1/get0/held")];
  await Promise.all([one.holds(1), two.holds(1)]);
  const stopped = http.gracefulStop();
  for (const { release } of [one, two]) release();
  assert.deepEqual(await Promise.all(calls), [200, 200]);
  await stopped;
  await served;
  assert.deepEqual(
    upstreams.stats().upstreams.map(({ state }) => state),
    ["closed", "closed"],
  );
});

test("Z04: an upstream that stops says so, and no call is lost", async (t) => {
  const { two, status } = await gateway(t);
  const calls = Array.from({ length: 5 }, () => status("/orders.v1/get0/held"));
  await two.holds(5);
  const stopped = two.grpc.gracefulStop();
  two.release();
  assert.deepEqual(await Promise.all(calls), [200, 200, 200, 200, 200]);
  await stopped;
  assert.equal(await status("/orders.v1/get0/a"), 503);
  assert.equal(await status("/users.v1/get0/a"), 200);
});
