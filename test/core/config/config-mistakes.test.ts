import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigFiles } from "./config-files.ts";

/** A file of a configuration and the lines that say what is wrong with it. */
const rows: readonly [name: string, text: string, ...lines: string[]][] = [
  [
    "a list in place of a duration",
    "http:\n  read_timeout: [30s]\n",
    'config.yaml:2:17: http.read_timeout: expected a duration such as "30s", found a list',
  ],
  ["a misspelt section", "htpp: {}\n", 'config.yaml:1:1: unknown key "htpp", did you mean "http"?'],
  ["an unknown key", "http:\n  prt: 1\n", 'config.yaml:2:3: http: unknown key "prt", did you mean "port"?'],
  [
    "a duration without its unit",
    "http: { timeout: 30 }",
    'config.yaml:1:18: http.timeout: expected a duration such as "30s", found the number 30: a duration needs its unit',
  ],
  [
    "a port out of range",
    "http: { port: 70000 }",
    "config.yaml:1:15: http.port: expected a port from 0 to 65535, found the number 70000",
  ],
  [
    "YAML 1.1's no",
    "http: { etag: no }",
    'config.yaml:1:15: http.etag: expected true or false, found "no": write true or false',
  ],
  [
    "a word that is none of those",
    "http: { error_format: xml }",
    'config.yaml:1:23: http.error_format: expected status, google or problem, found "xml"',
  ],
  [
    "a number in place of a text",
    "app: { name: 5 }",
    "config.yaml:1:14: app.name: expected a text, found the number 5: write it in quotes",
  ],
  [
    "a text in place of a list",
    "http: { allowed_hosts: a }",
    "config.yaml:1:24: http.allowed_hosts: expected a list of values, found a value",
  ],
  [
    "a text in place of a section",
    "http: 8080",
    "config.yaml:1:7: http: expected a section with keys, found a value",
  ],
  [
    "a ratio above 1",
    "telemetry: { tracing: { sample_ratio: 2 } }",
    "config.yaml:1:39: telemetry.tracing.sample_ratio: expected a number from 0 to 1, found the number 2",
  ],
  [
    "a rate without a time",
    "limits: { a: { key: [ip], rate: 5 } }",
    'config.yaml:1:33: limits.a.rate: expected a rate such as "100/1m", "5/hour" or "1000/month", found the number 5',
  ],
  [
    "a range of addresses that is none",
    "http: { trusted_proxies: [10.0.0.0/99] }",
    'config.yaml:1:27: http.trusted_proxies[0]: expected an address or a range such as "10.0.0.0/8", found "10.0.0.0/99"',
  ],
  [
    "a hop count in place of trusted proxies",
    "http: { trusted_proxies: 1 }",
    "config.yaml:1:26: http.trusted_proxies: expected a list of values, found a value",
  ],
  [
    "a code that is none",
    "policies: [{ selector: a.*, retry: { codes: [GONE] } }]",
    "config.yaml:1:46: policies[0].retry.codes[0]: expected OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, " +
      "NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, UNAUTHENTICATED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, " +
      'OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE or DATA_LOSS, found "GONE"',
  ],
  [
    "a key twice",
    "http:\n  port: 1\n  port: 2\n",
    "config.yaml:3:3: http.port: given twice, first at config.yaml:2:3",
  ],
  [
    "both spellings of a key",
    "http:\n  read_timeout: 1s\n  readTimeout: 2s\n",
    'config.yaml:3:3: http.read_timeout: given twice, first at config.yaml:2:3, as "read_timeout"',
  ],
  [
    "an alias of a key beside it",
    "grpc: { reflection: true, enable_reflection: true }",
    'config.yaml:1:27: grpc.enable_reflection: given twice, first at config.yaml:1:9, as "reflection"',
  ],
  [
    "an entry twice",
    "limits:\n  a: { key: [ip], rate: 1/1s }\n  a: { key: [ip], rate: 1/1s }\n",
    "config.yaml:3:3: limits.a: given twice, first at config.yaml:2:3",
  ],
  [
    "two documents",
    "http: { port: 1 }\n---\nhttp: { port: 2 }\n",
    "config.yaml:2:1: a second document: a configuration file has one",
  ],
  ["a tag", 'app: { name: !!js/function "x" }', "config.yaml:1:14: unknown tag"],
  ["an anchor inside itself", "http: &a { cors: *a }", "config.yaml:1:18: the anchor a contains itself"],
  ["an anchor that there is not", "http: *b", "config.yaml:1:7: there is no anchor b before"],
  ["a merge key", "http: { <<: { port: 1 } }", 'config.yaml:1:9: http: unknown key "<<"'],
  [
    "a section whose keys are not indented",
    "auth:\n  providers:\n  corp: { jwt: {} }\n",
    "config.yaml:2:3: auth.providers: the section is empty, and keys follow at its own indentation: they must be indented",
    'config.yaml:3:3: auth: unknown key "corp"',
  ],
  [
    "the same in the first column",
    "providers:\ncorp: { jwt: {} }\n",
    "config.yaml:1:1: providers: the section is empty, and keys follow at its own indentation: they must be indented",
    'config.yaml:2:1: unknown key "corp"',
  ],
  ["a list as the whole file", "- http\n", "config.yaml:1:1: expected keys with values"],
  [
    "a broken file",
    "http: { port: 1\ngrpc: {}\n",
    "config.yaml:2:1: Flow map in block collection must be sufficiently indented and end with a }",
  ],
  [
    "a required key that is missing",
    "auth:\n  providers:\n    corp:\n      jwt: { issuer: https://id.example.com }\n",
    "config.yaml:4:12: auth.providers.corp.jwt.audiences is missing",
  ],
  [
    "a provider of two kinds",
    "auth: { providers: { a: { mtls: {}, api_key: { keys_file: k } } } }",
    "config.yaml:1:25: auth.providers.a: expected one of jwt, api_key, basic, introspection or mtls, found api_key and mtls",
  ],
  [
    "a pong that cannot come in time",
    "websocket:\n  ping_period: 30s\n  pong_wait: 30s\n",
    "config.yaml:3:14: websocket.pong_wait: 30s is not longer than websocket.ping_period, 30s at config.yaml:2:16",
  ],
  [
    "a timeout beyond the longest",
    "http: { timeout: 10m }",
    "config.yaml:1:18: http.timeout: 10m is longer than http.max_timeout, 5m at default",
  ],
  ["a certificate without a key", "tls: { cert: a.pem }", "config.yaml:1:14: tls.cert needs tls.key"],
  [
    "credentials for any origin",
    'http: { cors: { origins: ["*"], credentials: true } }',
    "config.yaml:1:46: http.cors.credentials: not with * among http.cors.origins, at config.yaml:1:27: name the origins",
  ],
  [
    "a store that there is not",
    "limits: { a: { key: [ip], rate: 1/1s, store: redis } }",
    "config.yaml:1:46: limits.a.store: redis needs stores.redis",
  ],
  [
    "a limit of nothing",
    "limits: { a: { key: [ip] } }",
    "config.yaml:1:14: limits.a: expected rate, concurrent or both",
  ],
];

for (const [name, text, ...lines] of rows) {
  test(`a configuration with ${name} is refused`, async () => {
    using files = new ConfigFiles({ "config.yaml": text });
    assert.deepEqual(await files.mistakes(), lines);
  });
}

test("every mistake of every source is told", async () => {
  using files = new ConfigFiles({
    "a.yaml": "http: { port: x }\n",
    "b.json": '{ "http": { "port": 8080, "host": 1 } }',
  });
  const argv = ["--set", "http.port=y", "--http-port", "z", "--set", "no", "--set", 'access.rules["a/b"=1'];
  const env = { TS_MS_HTTP_PORT: "q", TS_MS_HTTP_PRT: "1", HTTP_IDLE_TIMEOUT: "1" };
  const overrides = { http: { timeout: "soon" } };
  assert.deepEqual(await files.mistakes({ argv, env, overrides }), [
    "environment TS_MS_HTTP_PRT: there is no key of this name, did you mean TS_MS_HTTP_PORT?",
    "--set no: expected KEY=VALUE",
    '--set access.rules["a/b": "[\\"a/b\\"" behind access.rules is no key: write section.key, or section["name.with.dots"]',
    'a.yaml:1:15: http.port: expected a port from 0 to 65535, found "x"',
    "b.json:1:35: http.host: expected a host name or an address, without scheme and port, found the number 1",
    'environment HTTP_IDLE_TIMEOUT: http.idle_timeout: expected a duration such as "30s", found another value',
    "environment TS_MS_HTTP_PORT: http.port: expected a port from 0 to 65535, found another value",
    '--http-port z: http.port: expected a port from 0 to 65535, found "z"',
    '--set http.port=y: http.port: expected a port from 0 to 65535, found "y"',
    'overrides: http.timeout: expected a duration such as "30s", found "soon"',
  ]);
});

test("at most 50 mistakes are listed", async () => {
  const keys = Array.from({ length: 120 }, (_, index) => `x${index}: 1`);
  using files = new ConfigFiles({ "config.yaml": keys.join("\n") });
  const lines = await files.mistakes();
  assert.equal(lines.length, 51);
  assert.equal(lines.at(-1), "and 70 more");
});

test("a file that cannot be read is named", async () => {
  using files = new ConfigFiles();
  const missing = files.path("none.yaml");
  const other = files.write("config.toml", "");
  assert.deepEqual(await files.mistakes({ argv: ["--config", missing, "--config", other] }), [
    "none.yaml: the file none.yaml cannot be read: there is no such file",
    "config.toml: the name of a configuration file ends in .yaml, .yml or .json",
  ]);
});

test("a mistake in a secret does not show it", async () => {
  using files = new ConfigFiles({
    "config.yaml": `stores: { redis: { url: "\${URL}", timeout: "\${T}" } }\nauth: { failures: "\${file:/dev/null}x" }\n`,
  });
  const env = { URL: "not a url hunter2", T: "hunter2", TS_MS_STORES_REDIS_PASSWORD: "hunter2" };
  const lines = await files
    .mistakes({ env, argv: ["--set", "discovery.consul.token=[hunter2"] })
    .catch(() => []);
  assert.ok(lines.length >= 3, lines.join("\n"));
  assert.ok(!lines.join("\n").includes("hunter2"), lines.join("\n"));
});
