import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../../src/app/sections/openapi-section.ts";
import type { ConfigInit } from "../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../src/core/config/loader/load-config.ts";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import { createLogger } from "../../src/core/telemetry/logger.ts";
import { Metrics } from "../../src/core/telemetry/metrics.ts";
import { Redactor } from "../../src/core/telemetry/redact.ts";

const refused: readonly (readonly [ConfigInit["openapi"], RegExp])[] = [
  [{ path: "/api.yaml" }, /^openapi: path: expected a path that ends in \.json, found \/api\.yaml/],
  [{ security: { one: { type: "http" } } }, /^openapi\.security\.one: needs scheme, as its type is http/],
  [{ security: { one: { type: "apiKey", name: "k" } } }, /one: needs in, as its type is apiKey/],
  [{ security: { one: { type: "openIdConnect" } } }, /one: needs open_id_connect_url/],
  [{ license: { name: "L", identifier: "L", url: "http://l" } }, /^openapi\.license\.url: not with an ident/],
  [{ base: "/no/such.yaml" }, /^openapi\.base: .*ENOENT/],
  [{ base: "README.md" }, /^openapi\.base: /],
];

for (const [openapi, expected] of refused) {
  test(`a mistake of the section openapi names its key: ${JSON.stringify(openapi)}`, async () => {
    const { config } = await loadConfig({ overrides: { openapi }, argv: [], env: {} });
    const opening = (): unknown =>
      open({
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
    assert.throws(opening, { message: expected });
  });
}
