import assert from "node:assert/strict";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { test } from "node:test";
import { Program } from "../support/program.ts";

/** Interval of requests, in milliseconds: 200 in a second. */
const everyMs = 5;

/** A configuration whose half cannot be read. */
const textOf = (round: number): string =>
  `app: { watch_config: true }\nhttp: { cors: { origins: ["https://page-${round}.example"], max_age: 10m } }\n`;

test("C03 a file that is replaced by its half, then by a good one, 50 times under load", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "reload-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "config.yaml");
  /** Replaces the file, or writes over it. */
  const put = (text: string, isNew: boolean): void => {
    writeFileSync(isNew ? `${file}.new` : file, text);
    if (isNew) renameSync(`${file}.new`, file);
  };
  put(textOf(0), true);
  await using app = new Program(
    "examples/app.ts",
    ...[`--config=${file}`, "--http-port=0", "--grpc-port=0", "--exporter-port=off"],
  );
  const url = `http://${await app.address("HTTP")}/goms`;
  const statuses = new Map<number | string, number>();
  const count = (status: number | string): void => void statuses.set(status, (statuses.get(status) ?? 0) + 1);
  const call = async (): Promise<void> => {
    try {
      const response = await fetch(url);
      await response.arrayBuffer();
      count(response.status);
    } catch (error) {
      count(String(error));
    }
  };
  const load = setInterval(() => void call(), everyMs);
  const rejected = (): number => app.errors.split("config.yaml:2:").length - 1;
  let slowestMs = 0;
  try {
    for (let round = 1; round <= 50; round++) {
      const before = rejected();
      const good = textOf(round);
      put(good.slice(0, good.length - 20), round % 2 === 0);
      while (rejected() === before) await wait(10);
      const begun = performance.now();
      put(good, round % 2 === 0);
      const origin = `https://page-${round}.example`;
      for (;;) {
        const response = await fetch(url, { headers: { origin } });
        await response.arrayBuffer();
        if (response.headers.get("access-control-allow-origin") === origin) break;
        await wait(10);
      }
      slowestMs = Math.max(slowestMs, performance.now() - begun);
    }
  } finally {
    clearInterval(load);
  }
  assert.ok(slowestMs <= 5_000, `${slowestMs} ms`);
  assert.deepEqual([...statuses.keys()], [200]);
  assert.equal((await app.stop()).code, 0);
});
