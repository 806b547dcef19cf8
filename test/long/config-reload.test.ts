import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { watchConfig, type ReloadReport } from "../../src/entries/config.ts";
import { GrpcServer, HttpServer, loadConfig } from "../../src/index.ts";
import { GomsService } from "../../src/services/goms/goms-service.ts";
import { ConfigFiles } from "../core/config/config-files.ts";

const rounds = 50;
const callsPerSecond = 200;

test("C03 half a file is rejected, the whole one is in use within 5 seconds, and no call fails", async () => {
  const grpc = new GrpcServer({ listen: false });
  await using http = new HttpServer({ upstream: grpc, port: 0 });
  grpc.addService(new GomsService("goms"));
  http.addService(new GomsService("goms"));
  await grpc.start();
  await http.start();
  const url = `http://127.0.0.1:${http.address?.port}/goms/1`;

  using files = new ConfigFiles({ "config.yaml": textOf(1) });
  let told: ((report: ReloadReport) => void) | undefined;
  const source = watchConfig(await files.load(), {
    signal: false,
    prepare: () => () => {},
    onReload: (report) => told?.(report),
  });
  const next = (): Promise<ReloadReport> =>
    Promise.race([
      new Promise<ReloadReport>((resolve) => (told = resolve)),
      delay(5_000, undefined, { ref: false }).then(() => assert.fail("no reload within 5 s")),
    ]);

  const calls: Promise<number>[] = [];
  const load = setInterval(() => calls.push(fetch(url).then(({ status }) => status)), 1_000 / callsPerSecond);
  for (let round = 2; round < rounds + 2; round++) {
    const text = textOf(round);
    const replace = (part: string): void => {
      // Files are replaced, or written over.
      if (round % 2 === 0) renameSync(files.write("next.yaml", part), files.path("config.yaml"));
      else files.write("config.yaml", part);
    };
    const half = next();
    replace(text.slice(0, text.indexOf("allowed")));
    assert.equal((await half).result, "rejected");
    assert.equal(source.config.http.timeout, (round - 1) * 1_000);
    const whole = next();
    replace(text);
    assert.equal((await whole).result, "applied");
    assert.equal(source.config.http.timeout, round * 1_000);
  }
  clearInterval(load);
  source.close();
  const statuses = await Promise.all(calls);
  assert.deepEqual(new Set(statuses), new Set([200]));
  await grpc.gracefulStop();
});

function textOf(round: number): string {
  return `app: { watch_config: true }\nhttp: { timeout: ${round}s, forward_headers: [a, b] , allowed_hosts: [c] }\n`;
}

test("a reload takes as long as a start, and does not stop the event loop for longer", async () => {
  using files = new ConfigFiles({ "config.yaml": textOf(1) });
  const loaded = await loadConfig({ argv: ["--config", files.path("config.yaml")], env: {} });
  const source = watchConfig(loaded, { signal: false, watchFiles: false, prepare: () => () => {} });
  const times: number[] = [];
  for (let round = 2; round < 100; round++) {
    files.write("config.yaml", textOf(round));
    const start = performance.now();
    await source.reload();
    times.push(performance.now() - start);
  }
  source.close();
  const median = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
  assert.ok(median < 50, `${median} ms`);
});
