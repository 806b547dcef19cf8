// oxlint-disable no-template-curly-in-string -- References are written like placeholders.
import assert from "node:assert/strict";
import { test } from "node:test";
import { maskUrl } from "../../../src/core/config/loader/mask.ts";
import { MissingReference, substitute } from "../../../src/core/config/loader/substitute.ts";
import { ConfigFiles } from "./config-files.ts";

const env = { NAME: "value", EMPTY: "", OTHER: "other", NESTED: "${OTHER}" };
const references = {
  env,
  readFile(path: string): string {
    if (path !== "/secret") throw new Error(`there is no ${path}`);
    return "s3cret";
  },
};

const filled: readonly [text: string, expected: string | undefined, masked?: string][] = [
  ["plain $ text $5", undefined],
  ["${NAME}", "value"],
  ["a${NAME}b${OTHER}", "avaluebother"],
  ["${EMPTY}", ""],
  ["${EMPTY:-default}", "default"],
  ["${NONE:-de:-fault}", "de:-fault"],
  ["${NONE:-}", ""],
  ["${NAME:?must be set}", "value"],
  ["$${NAME}", "${NAME}"],
  ["$$${NAME}", "$${NAME}"],
  ["${NESTED}", "${OTHER}"],
  ["${file:/secret}", "s3cret", "***"],
  ["redis://:${file:/secret}@${NAME}", "redis://:s3cret@value", "redis://:***@value"],
];

for (const [text, expected, masked] of filled) {
  test(`references of ${text} are filled in once`, () => {
    const found = substitute(text, references);
    assert.equal(found?.text, expected);
    assert.equal(found?.masked, masked);
  });
}

const refused: readonly [text: string, message: RegExp, isMissing: boolean][] = [
  ["${NONE}", /^the environment variable NONE is not set; \$\{NONE:-…\} has a default$/, true],
  ["${NONE:?ask the operator}", /^the environment variable NONE is not set: ask the operator$/, true],
  ["${EMPTY:?}", /^the environment variable EMPTY is not set: it must be$/, true],
  ["${NAME:default}", /^\$\{NAME:…\} is no reference: a default is written \$\{NAME:-…\}$/, false],
  ["${NAME", /has no \}/, false],
  ["${}", /is no reference/, false],
  ["${a b}", /is no reference/, false],
  ["${file:/none}", /^there is no \/none$/, false],
];

for (const [text, message, isMissing] of refused) {
  test(`the reference ${text} is refused`, () => {
    assert.throws(
      () => substitute(text, references),
      (error: Error) => message.test(error.message) && error instanceof MissingReference === isMissing,
    );
  });
}

test("C02 the value of a variable is one text, exactly", async () => {
  const values = [
    "two\nlines",
    "a \"quoted\" 'text'",
    "a # comment",
    "key: value",
    "${OTHER}",
    "- a\n- b",
    "{ http: { port: 1 } }",
    "[a, b]",
    "*alias &anchor !tag",
    "\u0000\u2028\uFEFF",
    "null",
    "42",
    "  spaced  ",
  ];
  for (const value of values) {
    using files = new ConfigFiles({
      "config.yaml": `
app: { name: "\${VALUE}" }
http:
  allowed_hosts:
    - \${VALUE}
    - last
telemetry:
  tracing:
    resource:
      a: \${VALUE}
`,
      "config.json": `{ "telemetry": { "log": { "redact": ["\${VALUE}"] } } }`,
    });
    const loaded = await files.load({ env: { VALUE: value, OTHER: "other" } });
    const { app, http, telemetry } = loaded.config;
    assert.equal(app.name, value);
    assert.deepEqual(http.allowedHosts, [value, "last"]);
    assert.deepEqual(telemetry.tracing?.resource, { a: value });
    assert.deepEqual(telemetry.log?.redact, [value]);

    files.write("printed.yaml", loaded.print());
    files.write("printed.json", loaded.print("json"));
    for (const name of ["printed.yaml", "printed.json"]) {
      const again = await files.load({ env: { VALUE: value }, argv: ["--config", files.path(name)] });
      assert.deepEqual(again.config, loaded.config);
    }
  }
});

test("C02 a variable adds no key and no item", async () => {
  using files = new ConfigFiles({
    "config.yaml": 'http: ${A}\ngrpc: { trusted_peers: "${B}", port: "${C}" }\n',
  });
  assert.deepEqual(await files.mistakes({ env: { A: "{ port: 1 }", B: "[a, b]", C: "1 # x" } }), [
    "config.yaml:1:7: http: expected a section with keys, found a value",
    "config.yaml:2:24: grpc.trusted_peers: expected a list of values, found a value",
    "config.yaml:2:38: grpc.port: expected a port from 0 to 65535, found another value",
  ]);
});

test("a reference has the type of its key, and an empty one means that the key is not set", async () => {
  using files = new ConfigFiles({
    "config.yaml":
      'http: { port: "${PORT}", etag: "${ETAG}", timeout: "${NONE:-}", host: "${NONE:-}", max_url_bytes: "${SIZE}" }\n' +
      'app: { name: "${NONE:-}" }\n',
  });
  const loaded = await files.load({ env: { PORT: "81", ETAG: "true", SIZE: "2KiB" } });
  const { http, app } = loaded.config;
  assert.deepEqual(
    [http.port, http.etag, http.timeout, http.host, http.maxUrlBytes],
    [81, true, 30_000, "127.0.0.1", 2_048],
  );
  assert.equal(app.name, "");
});

test("references of a section that is switched off need not be set", async () => {
  const text = 'quic: { enabled: "${ON}", host: "${QUIC_ADDRESS}", max_streams: "${QUIC_MAX}" }';
  using files = new ConfigFiles({ "config.yaml": text });
  assert.equal((await files.load({ env: { ON: "false" } })).config.quic?.host, undefined);
  const missing = (column: number, key: string, name: string): string =>
    `config.yaml:1:${column}: quic.${key}: the environment variable ${name} is not set; \${${name}:-…} has a default`;
  assert.deepEqual(await files.mistakes({ env: { ON: "true" } }), [
    missing(33, "host", "QUIC_ADDRESS"),
    missing(65, "max_streams", "QUIC_MAX"),
  ]);
  const later = await files.load({ env: { ON: "true" }, argv: ["--set", "quic.enabled=false"] });
  assert.equal(later.config.quic?.enabled, false);
});

test("a reference between brackets without quotes is one mistake", async () => {
  using files = new ConfigFiles({ "config.yaml": "http: { port: ${PORT}, host: a }\n" });
  assert.deepEqual(await files.mistakes(), [
    "config.yaml:1:16: a reference between brackets must be in quotes",
  ]);
});

const urls: readonly [url: string, shown: string][] = [
  ["redis://:pw@host:6379/0", "redis://:***@host:6379/0"],
  ["redis://user:p@ss/w:rd@host", "redis://user:***@host"],
  ["https://user@host/path", "https://user@host/path"],
  ["https://host:8443/path", "https://host:8443/path"],
  ["user:pw@host:80", "user:***@host:80"],
  ["redis://:12/34@host", "redis://:***@host"],
  ["https://host/x?token=abc&a=b&api_key=q#f", "https://host/x?token=***&a=b&api_key=***#f"],
];

for (const [url, shown] of urls) {
  test(`${url} is shown as ${shown}`, () => {
    assert.equal(maskUrl(url), shown);
  });
}
