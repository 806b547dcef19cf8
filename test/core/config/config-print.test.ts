import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { loadConfig } from "../../../src/index.ts";
import { ConfigFiles, mistakesOf } from "./config-files.ts";

const whole = `
http: { port: 8081, trusted_proxies: [10.0.0.0/8], readTimeout: 10s }
websocket: { read_buffer_size: 1024 }
tls: { cert: /run/tls.crt, key: /run/tls.key, sni: [{ cert: a.pem, key: "b: c.pem" }, { cert: c, key: d }] }
stores: { redis: { url: "redis://user:hunter2@redis:6379", password: hunter2 } }
access:
  rules:
    library.v1.LibraryService/DeleteShelf: { roles: [admin], audit: true }
    "1": { match: { book.owner: sub, "true": "'x'" } }
upstreams:
  users: { target: "consul:///users?tag=v1", contract: reflection, health: true, balance: { policy: hash, header: x } }
policies: [{ selector: a.*, timeout: 1s, retry: { codes: [UNAVAILABLE, 0x4] } }]
traffic:
  - selector: a.*
    split: [{ to: users, weight: 95 }]
    faults: [{ percent: 0.5, abort: UNAVAILABLE }]
`;

test("--print-config prints values with their origins, and loads again", async () => {
  using files = new ConfigFiles({ "config.yaml": whole.replace(", 0x4", "") });
  const loaded = await files.load({
    argv: ["--set", "http.timeout=31s", "--print-config"],
    env: { GRPC_PORT: "1" },
  });
  const { request } = loaded;
  assert.equal(request.kind, "print");
  const text = request.kind === "print" ? request.text : "";
  assert.equal(text, loaded.print());
  const at = `# ${files.path("config.yaml")}`;
  const lines: readonly string[] = [
    `  port: 8081 ${at}:2`,
    '  host: "127.0.0.1" # default',
    "  timeout: 31s # --set",
    "  port: 1 # environment GRPC_PORT",
    `  read_buffer_size: 1024 ${at}:3, no effect in Node`,
    "    - cert: a.pem",
    `    url: "redis://user:***@redis:6379" ${at}:5`,
    `    password: "***" ${at}:5`,
    `    "1":`,
    `      kind: reflection ${at}:11`,
  ];
  for (const line of lines) {
    assert.ok(
      text.split("\n").some((found) => found.startsWith(line)),
      `${line}\n${text}`,
    );
  }
  assert.ok(!text.includes("hunter2"));

  const json = await files.load({ argv: ["--print-config=json"] });
  const printed = json.request.kind === "print" ? json.request.text : "";
  const parsed = JSON.parse(printed) as {
    http: { read_timeout: string };
    stores: { redis: { password: string } };
  };
  assert.deepEqual([parsed.http.read_timeout, parsed.stores.redis.password], ["10s", "***"]);
  assert.ok(!printed.includes("hunter2"));
});

test("flags that print or check are said by the request", async () => {
  const kinds: readonly [argv: readonly string[], kind: string][] = [
    [[], "run"],
    [["--check-config"], "check"],
    [["--print-policy"], "print-policy"],
    [["--print-config"], "print"],
    [["--print-config=yaml"], "print"],
    [["--config-schema"], "print"],
    [["--help"], "print"],
    [["--version"], "print"],
  ];
  for (const [argv, kind] of kinds) {
    assert.equal((await loadConfig({ argv, env: {} })).request.kind, kind, argv.join(" "));
  }
  assert.deepEqual(await mistakesOf(loadConfig({ argv: ["--print-config=xml"], env: {} })), [
    "--print-config=xml: expected yaml or json",
  ]);
  assert.match(
    (await mistakesOf(loadConfig({ argv: ["--http-prt", "1"], env: {} })))[0] ?? "",
    /did you mean --http-port\?/,
  );
});

test("--help says what each flag does", async () => {
  const { request } = await loadConfig({
    argv: ["--help"],
    env: { TS_MS_NONSENSE: "1" },
    program: "library",
  });
  const text = request.kind === "print" ? request.text : "";
  assert.match(text, /^Usage: library \[flags\]/);
  assert.match(text, /^ {2}--http-port PORT +Port to serve HTTP on; 0 picks a free one \(default: 8080\)$/m);
  assert.match(
    text,
    /^ {2}--trusted-proxy CIDR +Proxies whose forwarding headers are trusted, by address \(repeatable\)$/m,
  );
  assert.match(
    text,
    /^ {2}--compression +Compress responses for clients that accept it: zstd, br, gzip \(default: off\)$/m,
  );
  for (const line of text.split("\n").filter((one) => one.startsWith("  --"))) {
    assert.match(line, /^ {2}--(?:\[no-\])?[a-z0-9-]+(?: \S+)? {2,}\S.{5,}/, line);
  }
});

interface Validator {
  (value: unknown): boolean;
  readonly errors?: unknown;
}

/** A validator that is not ours: the one that Fastify brings. */
function validatorOf(schema: unknown): Validator {
  const fastify = createRequire(import.meta.url).resolve("fastify");
  const compiler = createRequire(fastify).resolve("@fastify/ajv-compiler");
  const { default: Ajv } = createRequire(compiler)("ajv/dist/2020.js") as {
    default: new (options: object) => { compile(schema: unknown): Validator };
  };
  return new Ajv({ strict: false, inlineRefs: false, messages: false }).compile(schema);
}

test("--config-schema takes what loads and refuses what does not", async () => {
  const { request } = await loadConfig({ argv: ["--config-schema"], env: {} });
  const validate = validatorOf(JSON.parse(request.kind === "print" ? request.text : "{}"));
  const good: readonly unknown[] = [
    {},
    { http: { port: 8080, read_timeout: "10s", timeout: 0, trusted_proxies: ["10.0.0.0/8"], cors: null } },
    { grpc: { reflection: true }, telemetry: { metrics: { port: "off" } } },
    { http: { port: `\${PORT}`, etag: `\${ETAG:-true}` }, overload: { max_concurrent: 5 } },
    {
      communication: { timeout: "1s", providers: { http: { port: 1 } } },
      providers: { sse: { max_connections: 1 } },
    },
    { limits: { a: { key: ["ip"], rate: "5/1m" } }, tls: { min_version: 1.2 } },
    { upstreams: { a: { target: "a:1", contract: "reflection", health: true } } },
    { access: { rules: { "a.B/C": { level: "public" } } } },
    { policies: [{ selector: "a.*", retry: { codes: ["UNAVAILABLE"] } }] },
  ];
  for (const value of good) {
    assert.ok(validate(value), `${JSON.stringify(value)} ${JSON.stringify(validate.errors)}`);
    using files = new ConfigFiles({ "config.json": JSON.stringify(value) });
    await files.load({ env: { PORT: "1" } });
  }
  const bad: readonly unknown[] = [
    { htpp: {} },
    { http: { port: "x" } },
    { http: { timeout: 30 } },
    { http: { error_format: "xml" } },
    { http: { trusted_proxies: 1 } },
    { limits: { a: { rate: "5/1m" } } },
    { limits: { a: { key: ["ip"], rate: "5" } } },
    { telemetry: { tracing: { sample_ratio: 2 } } },
  ];
  for (const value of bad) {
    assert.ok(!validate(value), JSON.stringify(value));
    using files = new ConfigFiles({ "config.json": JSON.stringify(value) });
    await mistakesOf(files.load());
  }
  using files = new ConfigFiles({ "config.yaml": whole.replace(", 0x4", "") });
  const printed = await files.load({ argv: ["--print-config=json"] });
  const value: unknown = JSON.parse(printed.request.kind === "print" ? printed.request.text : "");
  assert.ok(validate(value), JSON.stringify(validate.errors));
});
