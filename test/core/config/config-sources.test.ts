import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigInit } from "../../../src/entries/config.ts";
import { loadConfig } from "../../../src/index.ts";
import { ConfigFiles, mistakesOf } from "./config-files.ts";

test("of all sources of a key the later wins", async () => {
  using files = new ConfigFiles({ "a.yaml": "http: { port: 2 }", "b.yaml": "http: { port: 3 }" });
  const sources: readonly [port: number, origin: string, add: Parameters<ConfigFiles["load"]>[0]][] = [
    [1, "defaults", { defaults: { http: { port: 1 } } }],
    [
      3,
      `${files.path("b.yaml")}:1`,
      { argv: ["--config", files.path("a.yaml"), "--config", files.path("b.yaml")] },
    ],
    [4, "environment HTTP_PORT", { env: { HTTP_PORT: "4" } }],
    [5, "environment TS_MS_HTTP_PORT", { env: { TS_MS_HTTP_PORT: "5" } }],
    [6, "--http-port", { argv: ["--http-port", "6"] }],
    [8, "--set", { argv: ["--set", "http.port=7", "--set", "http.port=8"] }],
    [9, "overrides", { overrides: { http: { port: 9 } } }],
  ];
  let options: Parameters<typeof loadConfig>[0] = { argv: [], env: {} };
  for (const [port, origin, add] of sources) {
    options = {
      ...options,
      ...add,
      argv: [...(add?.argv ?? []), ...(options.argv ?? [])],
      env: { ...options.env, ...add?.env },
    };
    const { config, origins } = await loadConfig(options);
    assert.deepEqual([config.http.port, origins.get("http.port")], [port, origin]);
  }
  const { config, origins } = await loadConfig({ argv: [], env: {} });
  assert.deepEqual([config.http.port, origins.get("http.port")], [8080, "default"]);
});

test("TS_MS_CONFIG names files where the command line names none", async () => {
  using files = new ConfigFiles({ "a.yaml": "http: { port: 2 }", "b.yaml": "grpc: { port: 3 }" });
  const env = { TS_MS_CONFIG: `${files.path("a.yaml")}, ${files.path("b.yaml")}` };
  const { config } = await loadConfig({ argv: [], env });
  assert.deepEqual([config.http.port, config.grpc.port], [2, 3]);
  const other = await loadConfig({ argv: ["--config", files.path("b.yaml")], env });
  assert.deepEqual([other.config.http.port, other.config.grpc.port], [8080, 3]);
});

test("sections and maps are merged by key, lists are replaced, null sets back", async () => {
  using files = new ConfigFiles({
    "a.yaml": `
http: { port: 1, trusted_proxies: [10.0.0.0/8, 127.0.0.1], timeout: 5s, cors: { origins: [https://a.example] } }
limits: { a: { key: [ip], rate: 1/1s, burst: 5 }, b: { key: [ip], rate: 2/1s } }
tls: { cert: a, key: b }
`,
    "b.yaml": `
http: { trusted_proxies: [192.168.0.0/16], timeout: null, port: null, cors: null }
limits: { a: { rate: 9/1s }, b: null }
tls: null
`,
  });
  const { config } = await files.load({ defaults: { http: { port: 7 } } });
  assert.deepEqual(config.http.trustedProxies, ["192.168.0.0/16"]);
  assert.deepEqual([config.http.port, config.http.timeout], [7, 30_000]);
  assert.deepEqual(config.http.cors?.origins, []);
  assert.deepEqual(Object.keys(config.limits), ["a"]);
  assert.deepEqual([config.limits["a"]?.rate, config.limits["a"]?.burst], ["9/1s", 5]);
  assert.equal(config.tls, undefined);
});

test("the JSON of seed 001 loads unchanged", async () => {
  using files = new ConfigFiles({
    "config.json": JSON.stringify({
      communication: {
        default_provider: "http",
        max_connections: 1000,
        retry_attempts: 3,
        retry_delay: "5s",
        timeout: "30s",
      },
      providers: {
        http: {
          host: "0.0.0.0",
          port: 8080,
          read_timeout: "30s",
          write_timeout: "30s",
          idle_timeout: "120s",
        },
        websocket: {
          read_buffer_size: 1024,
          write_buffer_size: 1024,
          check_origin: false,
          ping_period: "54s",
          pong_wait: "60s",
          write_wait: "10s",
          max_message_size: 512,
        },
        grpc: {
          host: "0.0.0.0",
          port: 9090,
          max_recv_msg_size: 4194304,
          max_send_msg_size: 4194304,
          enable_reflection: true,
        },
        quic: {
          host: "0.0.0.0",
          port: 8443,
          max_streams: 100,
          max_idle_timeout: "30s",
          keep_alive_period: "10s",
        },
        graphql: { host: "0.0.0.0", port: 8080, enable_introspection: true, enable_playground: true },
        sse: { host: "0.0.0.0", port: 8080, heartbeat_interval: "30s", max_connections: 1000 },
      },
    }),
  });
  const { config, warnings } = await files.load();
  const { app, clients, http, websocket, grpc, quic, graphql, sse } = config;
  assert.deepEqual([app.defaultServer, app.maxConnections], ["http", 1000]);
  assert.deepEqual([clients.retryAttempts, clients.retryDelay, clients.timeout], [3, 5_000, 30_000]);
  assert.deepEqual([http.host, http.port, http.idleTimeout], ["0.0.0.0", 8080, 120_000]);
  assert.deepEqual(
    [websocket.pingPeriod, websocket.pongWait, websocket.maxMessageSize],
    [54_000, 60_000, 512],
  );
  assert.deepEqual([grpc.port, grpc.maxRecvMsgSize, grpc.enableReflection], [9090, 4_194_304, "true"]);
  assert.deepEqual([quic?.port, quic?.maxStreams, quic?.keepAlivePeriod], [8443, 100, 10_000]);
  assert.deepEqual([graphql?.introspection, graphql?.playground], [true, true]);
  assert.deepEqual([sse.heartbeatInterval, sse.maxConnections], [30_000, 1000]);
  assert.match(warnings.join("\n"), /websocket\.check_origin is false/);
});

test("the variables of seed 001 count", async () => {
  const env = {
    COMMUNICATION_DEFAULT_PROVIDER: "grpc",
    COMMUNICATION_MAX_CONNECTIONS: "1000",
    COMMUNICATION_RETRY_ATTEMPTS: "4",
    COMMUNICATION_RETRY_DELAY: "5s",
    COMMUNICATION_TIMEOUT: "31s",
    HTTP_IDLE_TIMEOUT: "120s",
    WEBSOCKET_CHECK_ORIGIN: "false",
    GRPC_ENABLE_REFLECTION: "true",
    QUIC_MAX_STREAMS: "99",
    GRAPHQL_ENABLE_PLAYGROUND: "true",
    SSE_HEARTBEAT_INTERVAL: "30s",
  };
  const { config } = await loadConfig({ argv: [], env });
  const { app, clients, http, websocket, grpc, quic, graphql, sse } = config;
  assert.deepEqual([app.defaultServer, app.maxConnections], ["grpc", 1000]);
  assert.deepEqual([clients.retryAttempts, clients.retryDelay, clients.timeout], [4, 5_000, 31_000]);
  assert.deepEqual(
    [http.idleTimeout, websocket.checkOrigin, grpc.enableReflection],
    [120_000, false, "true"],
  );
  assert.deepEqual([quic?.maxStreams, graphql?.playground, sse.heartbeatInterval], [99, true, 30_000]);
});

test("the YAML of seed 000 loads with its variable", async () => {
  using files = new ConfigFiles({
    "config.yaml": `
discovery:
  providers:
    consul:
      enabled: true
      address: "localhost:8500"
      token: "\${CONSUL_TOKEN}"
      service_name: "my-service"
      service_port: 8080
      health_check: { enabled: true, path: /health, interval: 10s, timeout: 5s, deregister_after: 30s }
`,
  });
  const { config } = await files.load({ env: { CONSUL_TOKEN: "t0ken" } });
  const consul = config.discovery?.providers?.consul;
  assert.deepEqual([consul?.enabled, consul?.address, consul?.token], [true, "localhost:8500", "t0ken"]);
  assert.deepEqual([consul?.serviceName, consul?.healthCheck?.deregisterAfter], ["my-service", 30_000]);
  assert.deepEqual(await files.mistakes(), [
    "config.yaml:7:14: discovery.providers.consul.token: the environment variable CONSUL_TOKEN is not set; " +
      `\${CONSUL_TOKEN:-…} has a default`,
  ]);
});

test("a key in two of the shapes is a mistake with both places, a section in two is not", async () => {
  using files = new ConfigFiles({
    "config.yaml": `
communication: { timeout: 1s, providers: { http: { port: 1 } } }
providers: { http: { host: a, port: 2 } }
clients: { timeout: 2s, retry_attempts: 1 }
`,
  });
  assert.deepEqual(await files.mistakes(), [
    "config.yaml:4:12: clients.timeout: given twice, first at config.yaml:2:18",
    "config.yaml:3:31: http.port: given twice, first at config.yaml:2:52",
  ]);
});

test("variables of OpenTelemetry count", async () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318",
    OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20x,x-tenant=a",
    OTEL_SERVICE_NAME: "library",
    OTEL_RESOURCE_ATTRIBUTES: "deployment.environment=prod,zone=a%2Cb",
    OTEL_TRACES_SAMPLER_ARG: "0.5",
    OTEL_SDK_DISABLED: "true",
    OTEL_LOG_LEVEL: "debug",
  };
  const loaded = await loadConfig({ argv: [], env });
  const { app, telemetry } = loaded.config;
  assert.equal(app.name, "library");
  assert.deepEqual(telemetry.tracing?.headers, { authorization: "Bearer x", "x-tenant": "a" });
  assert.deepEqual(telemetry.tracing.resource, { "deployment.environment": "prod", zone: "a,b" });
  assert.deepEqual([telemetry.tracing.sampleRatio, telemetry.tracing.disabled], [0.5, true]);
  assert.ok(!loaded.print().includes("Bearer"), loaded.print());
});

test("service links of Kubernetes are ignored, with one warning", async () => {
  const env = {
    HTTP_PORT: "tcp://10.0.0.1:80",
    HTTP_SERVICE_HOST: "10.0.0.1",
    TS_MS_HTTP_PORT: "tcp://10.0.0.2:80",
    TS_MS_HTTP_SERVICE_HOST: "10.0.0.2",
    TS_MS_HTTP_SERVICE_PORT_HTTP: "80",
    TS_MS_HTTP_PORT_80_TCP: "tcp://10.0.0.2:80",
    TS_MS_HTTP_PORT_80_TCP_ADDR: "10.0.0.2",
    TS_MS_PORT: "tcp://10.0.0.3:80",
  };
  const { config, warnings } = await loadConfig({ argv: [], env });
  assert.equal(config.http.port, 8080);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /enableServiceLinks/);
  assert.deepEqual(await mistakesOf(loadConfig({ argv: [], env: { TS_MS_HTTP_PORTS: "80" } })), [
    "environment TS_MS_HTTP_PORTS: there is no key of this name, did you mean TS_MS_HTTP_PORT?",
  ]);
});

test("a secret is read from a file", async () => {
  using files = new ConfigFiles({ "config.yaml": "" });
  const secret = files.write("secret", "p@ss\n");
  files.write("config.yaml", `stores: { redis: { url: "redis://u:\${file:${secret}}@redis:6379/0" } }`);
  const loaded = await files.load({ env: { TS_MS_DISCOVERY_CONSUL_TOKEN: "" } });
  assert.equal(loaded.config.stores?.redis?.url, "redis://u:p@ss@redis:6379/0");
  assert.match(loaded.print(), /url: "redis:\/\/u:\*\*\*@redis:6379\/0"/);
  assert.ok(loaded.files.includes(secret));

  const env = { TS_MS_STORES_REDIS_PASSWORD_FILE: secret };
  const other = await loadConfig({ argv: ["--set", "stores.redis.url=redis://r"], env });
  assert.equal(other.config.stores?.redis?.password, "p@ss");
  assert.ok(!other.print().includes("p@ss"));
  assert.deepEqual(
    await mistakesOf(loadConfig({ argv: [], env: { ...env, TS_MS_STORES_REDIS_PASSWORD: "x" } })),
    [
      "environment TS_MS_STORES_REDIS_PASSWORD_FILE: TS_MS_STORES_REDIS_PASSWORD is set too: one of them",
      "environment TS_MS_STORES_REDIS_PASSWORD: stores.redis: expected url, or sentinels with master",
    ],
  );
});

test("a secret file that everybody may write is refused, one that everybody may read is a warning", async () => {
  const { chmodSync } = await import("node:fs");
  using files = new ConfigFiles();
  const secret = files.write("secret", "x");
  const load = () =>
    loadConfig({
      argv: ["--set", "stores.redis.url=redis://r"],
      env: { TS_MS_STORES_REDIS_PASSWORD_FILE: secret },
    });
  chmodSync(secret, 0o604);
  assert.deepEqual((await load()).warnings, [
    `everybody on this machine may read the secret file ${secret} (chmod o-r ${secret})`,
  ]);
  chmodSync(secret, 0o602);
  assert.deepEqual(await mistakesOf(load()), [
    `environment TS_MS_STORES_REDIS_PASSWORD_FILE: the secret file ${secret} is refused: everybody may write it ` +
      `(chmod o-w ${secret})`,
  ]);
  files.write("large", "x".repeat(65 * 1024));
  const env = { TS_MS_STORES_REDIS_PASSWORD_FILE: files.path("large") };
  assert.match((await mistakesOf(loadConfig({ argv: [], env })))[0] ?? "", /larger than 64 KiB/);
});

const settings: readonly [
  text: string,
  of: (config: Awaited<ReturnType<typeof loadConfig>>["config"]) => unknown,
  value: unknown,
][] = [
  ["http.port=0", ({ http }) => http.port, 0],
  ["http.readTimeout=1.5s", ({ http }) => http.readTimeout, 1_500],
  ["http.allowed_hosts=a, b", ({ http }) => http.allowedHosts, ["a", "b"]],
  ['http.allowed_hosts=["a,b", c]', ({ http }) => http.allowedHosts, ["a,b", "c"]],
  ["http.allowed_hosts=", ({ http }) => http.allowedHosts, []],
  ["http.etag=true", ({ http }) => http.etag, true],
  ["app.name=a=b # c", ({ app }) => app.name, "a=b # c"],
  [`app.name=\${HOME}`, ({ app }) => app.name, `\${HOME}`],
  ['access.rules["a.B/C"].level=public', ({ access }) => access?.rules["a.B/C"]?.level, "public"],
  ['access.rules["a.B/C"]={ level: public }', ({ access }) => access?.rules["a.B/C"]?.level, "public"],
  ['access.rules["a=b"].when=x', ({ access }) => access?.rules["a=b"]?.when, "x"],
  ["limits.per-user={ key: [ip], rate: 5/day }", ({ limits }) => limits["per-user"]?.rate, "5/day"],
  ["telemetry.tracing.resource.a=[b", ({ telemetry }) => telemetry.tracing?.resource["a"], "[b"],
  ["grpc.reflection=true", ({ grpc }) => grpc.enableReflection, "true"],
  [
    "policies=[{ selector: a.*, retry: { codes: [UNAVAILABLE] } }]",
    ({ policies }) => policies[0]?.retry?.codes,
    [14],
  ],
  ["http.port=null", ({ http }) => http.port, 8080],
];

for (const [text, of, value] of settings) {
  test(`--set ${text} is typed by the schema`, async () => {
    const { config } = await loadConfig({ argv: ["--set", text], env: {} });
    assert.deepEqual(of(config), value);
  });
}

const flagged: readonly [argv: string, of: ConfigInit][] = [
  [
    "--no-websockets --lenient-content-type",
    { websocket: { enabled: false }, http: { contentType: "lenient" } },
  ],
  ["--register consul", { register: { consul: {} } }],
  [
    "--register consul=users --register-tag a --register-tag b --register-address [::1]:81",
    { register: { consul: { name: "users", tags: ["a", "b"], address: "::1", port: 81 } } },
  ],
  [
    "--upstream users=dns:///users:1 --upstream orders:2",
    { upstreams: { users: { target: "dns:///users:1" }, "orders:2": { target: "orders:2" } } },
  ],
  ["--discover k8s:app=x", { discovery: { catalog: { k8sSelector: "app=x" } } }],
  [
    "--auth-issuer https://id --auth-audience a --auth-audience b --auth-jwks k.json",
    {
      auth: {
        providers: { cli: { jwt: { issuer: "https://id", audiences: ["a", "b"], jwksFile: "k.json" } } },
      },
    },
  ],
  ["--access-log off", { telemetry: { accessLog: { enabled: false } } }],
  ["--access-log a.log", { telemetry: { accessLog: { enabled: true, destination: "a.log" } } }],
  ["--trusted-proxy 10.0.0.0/8 --trusted-proxy ::1", { http: { trustedProxies: ["10.0.0.0/8", "::1"] } }],
  [
    "--exporter-port off --compression",
    { telemetry: { metrics: { port: "off" } }, http: { compression: true } },
  ],
];

for (const [argv, same] of flagged) {
  test(`${argv} means keys`, async () => {
    const { config } = await loadConfig({ argv: argv.split(" "), env: {} });
    assert.deepEqual(config, (await loadConfig({ argv: [], env: {}, overrides: same })).config);
  });
}

test("flags of an upstream are those of http-only", async () => {
  const argv = ["--grpc-host", "users", "--grpc-port", "1"];
  const { config } = await loadConfig({ argv, env: {}, program: "http-only" });
  assert.deepEqual([config.upstream?.host, config.upstream?.port, config.grpc.port], ["users", 1, 42_001]);
});

test("what code says may have numbers and texts", async () => {
  const overrides: ConfigInit = {
    http: { timeout: 1_500, readTimeout: "2s", maxBodyBytes: 10, maxUrlBytes: "1KiB" },
    tls: { sni: [{ cert: "a", key: "b" }] },
  };
  const loaded = await loadConfig({ argv: [], env: {}, overrides });
  const { http, tls } = loaded.config;
  assert.deepEqual(
    [http.timeout, http.readTimeout, http.maxBodyBytes, http.maxUrlBytes],
    [1_500, 2_000, 10, 1_024],
  );
  assert.equal(tls?.sni[0]?.cert, "a");
  assert.match(loaded.print(), / timeout: 1500ms # overrides/);
});
