import assert from "node:assert/strict";
import { test } from "node:test";
import { loadConfig } from "../../src/core/config/loader/load-config.ts";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import { createLogger } from "../../src/core/telemetry/logger.ts";
import { Metrics } from "../../src/core/telemetry/metrics.ts";
import { Redactor } from "../../src/core/telemetry/redact.ts";
import { open } from "../../src/app/sections/pages-section.ts";

test("S7 S8 mistakes of the section pages name it", async () => {
  for (const [pages, problem] of [
    [{ static: [{ prefix: "/", dir: "/none/at/all" }] }, /: pages: the folder \/none\/at\/all of \//],
    [{ templates: "/none/at/all" }, /: pages: the folder of templates \/none\/at\/all cannot be read/],
    [{ static: [{ prefix: "/.x/", dir: "/" }] }, /: pages: static\[0\]: the option prefix must be a path/],
  ] as const) {
    const { config } = await loadConfig({ overrides: { pages }, argv: [], env: {} });
    const opening = open({
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
    await assert.rejects(opening, problem);
  }
});
