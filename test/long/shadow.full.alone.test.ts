import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { after, before, describe, test } from "node:test";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { createClient, type Client } from "../../src/core/call/client.ts";
import { dial, type DialedTransport } from "../../src/core/dial.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { mirror } from "../../src/core/traffic/mirror.ts";
import { trafficBooks } from "../../src/core/traffic/traffic-books.ts";
import { Echo } from "../support/echo-service.ts";
import { all } from "../support/failure.ts";

const program = spawn(process.execPath, [join(import.meta.dirname, "fixtures/shadow-server.ts")], {
  stdio: ["ignore", "pipe", "inherit"],
});
const server = new GrpcServer({ port: 0 }).addService(new Echo());
let primary: DialedTransport;
let shadow: DialedTransport;

before(async () => {
  const [port] = (await once(program.stdout, "data")) as [Buffer];
  shadow = dial(`127.0.0.1:${String(port).trim()}`);
  await server.start();
  primary = dial(`127.0.0.1:${server.address?.port}`);
  await Promise.all([primary.ready(), shadow.ready()]);
});

after(async () => {
  program.kill();
  primary.close();
  shadow.close();
  await server.gracefulStop({ graceMs: 0 });
});

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Memory in use, without garbage, in MiB: that of the process also holds what V8 keeps for its next objects. */
function usedMiB(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

/** What timers and collections of a machine of two cores add to calls of less than a millisecond. */
const slackMs = 0.5;

/** Calls a second, whatever their durations. */
const rate = 500;

/** Durations of calls that are made by turns by each of the clients, in milliseconds, by client. */
async function durations(
  clients: readonly Client<typeof EchoService>[],
  seconds: number,
): Promise<number[][]> {
  const times = clients.map((): number[] => []);
  const calls: Promise<void>[] = [];
  const began = performance.now();
  while (calls.length < rate * seconds) {
    const due = Math.min(((performance.now() - began) / 1_000) * rate, rate * seconds);
    while (calls.length < due) {
      const turn = calls.length % clients.length;
      const start = performance.now();
      calls.push(
        (async () => {
          await clients[turn]?.echo({ text: "a" });
          times[turn]?.push(performance.now() - start);
        })(),
      );
    }
    await sleep(1);
  }
  await Promise.all(calls);
  return times;
}

function p99(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
}

function results(to: string): Record<string, number> {
  const own = trafficBooks.mirrors.all.filter(({ labels }) => labels["to"] === to);
  return Object.fromEntries(own.map(({ labels, count }) => [labels["result"] ?? "", count] as const));
}

describe("K16 a shadow", () => {
  for (const name of ["hangs", "refuses"]) {
    test(`that ${name} leaves the 99th percentile and the memory of its callers alone`, async (t) => {
      const copies = name === "hangs" ? shadow : dial("127.0.0.1:1");
      t.after(() => (copies === shadow ? undefined : copies.close()));
      const plain = createClient(EchoService, primary);
      const mirrored = createClient(EchoService, mirror(primary, copies, { methods: "*", name }));
      await durations([plain, mirrored], 4);
      const before = usedMiB();
      const [without = [], beside = []] = await durations([plain, mirrored], 20);
      const alone = p99(without);
      const ratio = p99(beside) / alone;
      const grownMiB = usedMiB() - before;
      t.diagnostic(
        `p99 × ${ratio.toFixed(2)} of ${alone.toFixed(2)} ms, memory + ${grownMiB.toFixed(1)} MiB, ${JSON.stringify(results(name))}`,
      );
      assert.ok(p99(beside) <= alone * 1.1 + slackMs, `p99 × ${ratio} of ${alone} ms`);
      assert.ok(grownMiB <= 16, `memory +${grownMiB} MiB`);
      const { dropped = 0, failed = 0 } = results(name);
      if (name === "hangs") assert.equal(dropped, rate * 12 - 100);
      else assert.ok(failed > 0);
    });
  }

  test("that answers with 50 MiB costs no memory", async (t) => {
    const large = dial(shadow.stats().endpoints[0]?.address ?? "");
    t.after(() => large.close());
    const client = createClient(EchoService, mirror(primary, large, { name: "large" }));
    const read = (): number => Object.values(results("large")).reduce((sum, count) => sum + count, 0);
    await all(createClient(EchoService, large).repeat({}));
    const before = usedMiB();
    let most = 0;
    for (let call = 0; call < 3; call++) {
      await all(client.repeat({ count: 1 }));
      while (read() <= call) {
        most = Math.max(most, usedMiB() - before);
        await sleep(100);
      }
    }
    t.diagnostic(`memory +${most.toFixed(1)} MiB, ${JSON.stringify(results("large"))}`);
    assert.deepEqual(results("large"), { uncompared: 3 });
    assert.ok(most <= 16, `memory +${most} MiB`);
  });
});
