import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../../src/app/sections/docs-section.ts";
import type { ConfigInit } from "../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../src/core/config/loader/load-config.ts";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import { createLogger } from "../../src/core/telemetry/logger.ts";
import { Metrics } from "../../src/core/telemetry/metrics.ts";
import { Redactor } from "../../src/core/telemetry/redact.ts";

async function opened(docs: ConfigInit["docs"]): Promise<ReturnType<typeof open>> {
  const { config } = await loadConfig({ overrides: { docs }, argv: [], env: {} });
  return open({
    config,
    logger: createLogger({ level: "silent" as never }), // Pino has this level too.
    metrics: new Metrics(),
    redactor: new Redactor(),
    shared: () => assert.fail(),
    mistake: (key, text) => new SetupError(`${key}: ${text}`),
    origin: () => undefined,
    isSet: () => true,
    env: {},
  });
}

test("the section docs is a face at its path; without load for any client it has no path for that", async () => {
  const paths = async (docs: ConfigInit["docs"]): Promise<readonly string[]> =>
    (await opened(docs)).faces?.flatMap((face) => face.paths) ?? [];
  const asleep = await paths({ path: "/console", live: "none" });
  assert.ok(asleep.includes("/console/model.json") && !asleep.includes("/console/live"));
  assert.ok((await paths({ live: "all" })).includes("/docs/live"));
});

test("mistakes of the section docs name their keys", async () => {
  await assert.rejects(opened({ path: "a" }), /docs\.path: expected a path/);
  await assert.rejects(opened({ links: [{ text: "x", url: "ftp://x" }] }), /docs: links: expected/);
});
