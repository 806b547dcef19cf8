import assert from "node:assert/strict";
import { test } from "node:test";
import { watchConfig } from "../../src/entries/config.ts";
import { loadConfig } from "../../src/index.ts";
import { ConfigFiles } from "../core/config/config-files.ts";

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
