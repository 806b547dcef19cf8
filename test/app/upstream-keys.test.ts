import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { policyInits } from "../../src/app/sections/policy-inits.ts";
import { trafficRules } from "../../src/app/sections/traffic-rules.ts";
import { upstreamInits } from "../../src/app/sections/upstream-inits.ts";
import type { Config } from "../../src/core/config/loader/config-types.ts";
import { loadConfig } from "../../src/core/config/loader/load-config.ts";
import { dial, type DialOptions } from "../../src/core/dial.ts";
import { Code } from "../../src/core/errors/errors.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

/** A configuration of a text. */
async function configOf(text: string): Promise<Config> {
  await using files = await TemporaryFiles.create();
  const file = await files.write("config.yaml", text);
  const { config } = await loadConfig({ argv: [`--config=${file}`], env: {} });
  return config;
}

const mistake = (key: string, problem: string): Error => new TypeError(`${key}: ${problem}`);

suite("keys of an upstream are options of dial", () => {
  /** What a key says, and what it becomes. */
  const keys: readonly (readonly [yaml: string, options: Partial<DialOptions>])[] = [
    ["balance: round_robin", { balance: "round_robin" }],
    ["balance: { policy: least_request, choices: 4 }", { balance: { policy: "least_request", choices: 4 } }],
    [
      "balance: { policy: hash, header: x-user, bounded_load: 1.5 }",
      { balance: { policy: "hash", header: "x-user", boundedLoad: 1.5 } },
    ],
    ["balance: { policy: hash, field: user.id }", { balance: { policy: "hash", field: "user.id" } }],
    ["zone: a, zone_mode: prefer", { zone: "a", zoneMode: "prefer" }],
    ["zone: a, zone_mode: hints", { zone: "a", zoneMode: "hints" }],
    ["subset: 20", { subset: 20 }],
    [
      "slow_start: { window: 30s, aggression: 2, min_weight: 0.2 }",
      { slowStart: { windowMs: 30_000, aggression: 2, minWeight: 0.2 } },
    ],
    ["slow_start: { window: 1m }", { slowStart: { windowMs: 60_000, aggression: 1, minWeight: 0.1 } }],
    [
      "health: true",
      { health: { mode: "watch", intervalMs: 5_000, timeoutMs: 2_000, failures: 3, path: "/readyz" } },
    ],
    [
      "health: { mode: http, interval: 1s, timeout: 250ms, failures: 2, path: /healthz }",
      { health: { mode: "http", intervalMs: 1_000, timeoutMs: 250, failures: 2, path: "/healthz" } },
    ],
    ["health: false", { health: false }],
    ["outlier: false", { outlier: false }],
    [
      "outlier: { consecutive_failures: 3, failure_ratio: 0.5, min_calls: 10, interval: 5s, base: 10s, max: 1m, max_ejection_percent: 20, return: 2s }",
      {
        outlier: {
          consecutiveFailures: 3,
          failureRatio: 0.5,
          minCalls: 10,
          intervalMs: 5_000,
          baseMs: 10_000,
          maxMs: 60_000,
          maxEjectionPercent: 20,
          returnMs: 2_000,
        },
      },
    ],
    [
      "connections: { max: 2, max_age: 1h, idle_timeout: 1m, at_once: 3 }",
      { connections: { max: 2, maxAgeMs: 3_600_000, idleTimeoutMs: 60_000, atOnce: 3 } },
    ],
    [
      "keepalive: { time: 20s, timeout: 5s, without_calls: true }",
      { keepalive: { timeMs: 20_000, timeoutMs: 5_000, withoutCalls: true } },
    ],
    ["stale: 5s", { staleMs: 5_000 }],
    [
      "retry_budget: { ratio: 0.1, reserve: 5, window: 2s }",
      { retryBudget: { ratio: 0.1, reserve: 5, windowMs: 2_000 } },
    ],
    ["service_config: '{}'", { serviceConfig: "{}" }],
    ["contract_policies: false", { contractPolicies: false }],
    ["authority: users.test", { authority: "users.test" }],
    ["tls: { server_name: users.test }", { tls: { serverName: "users.test" } }],
    [
      "protocol: rest, contract: { proto: [users.proto] }",
      { protocol: "rest", contract: { proto: ["users.proto"] } } as object,
    ],
    [
      "only: [users.v1.UserService], required: false",
      { only: ["users.v1.UserService"], required: false } as object,
    ],
    ["contract: reflection", { contract: "reflection" } as object],
    ["contract: { same_as: b }", { contract: { sameAs: "b" } } as object],
    ["contract: { descriptors: [users.binpb] }", { contract: { descriptors: ["users.binpb"] } } as object],
    [
      "policies: [{ selector: users.v1.*, timeout: 1s }]",
      { policies: [{ selector: "users.v1.*", timeoutMs: 1_000 }] },
    ],
  ];
  const target = "dns:///users.test:42001";
  /** What `Upstreams` has beside options of `dial`. */
  const ofUpstreams = new Set(["target", "contract", "only", "required"]);
  for (const [yaml, options] of keys) {
    test(yaml, async () => {
      const text = `upstreams: { a: { target: "${target}", ${yaml} }, b: { target: "${target}" } }`;
      const { a, b } = upstreamInits(await configOf(text), mistake);
      assert.deepEqual(b, { target, required: true, contractPolicies: true });
      assert.deepEqual(a, { ...b, ...options });
      const given = Object.entries(a ?? {}).filter(([name]) => !ofUpstreams.has(name));
      dial(target, Object.fromEntries(given)).close(); // It takes them all.
    });
  }

  test("protocol rest without a contract is refused", async () => {
    for (const contract of ["", ", contract: reflection"]) {
      const config = await configOf(`upstreams: { a: { target: "a:1", protocol: rest${contract} } }`);
      assert.throws(
        () => upstreamInits(config, mistake),
        /upstreams\.a\.contract: is needed with protocol rest/,
      );
    }
    await assert.rejects(
      configOf(`upstreams: { a: { target: "a:1", protocol: soap } }`),
      /protocol.*grpc.*rest/,
    );
  });
});

suite("keys of a policy are those of MethodPolicy", () => {
  const keys: readonly (readonly [yaml: string, policy: object])[] = [
    ["timeout: 250ms", { timeoutMs: 250 }],
    ["idempotency: IDEMPOTENT", { idempotency: "IDEMPOTENT" }],
    [
      "retry: { max_attempts: 4, initial_backoff: 20ms, max_backoff: 2s, backoff_multiplier: 1.5, jitter: 0.1, codes: [UNAVAILABLE, ABORTED], attempt_timeout: 200ms, buffer_bytes: 64KiB }",
      {
        retry: {
          maxAttempts: 4,
          initialBackoffMs: 20,
          maxBackoffMs: 2_000,
          backoffMultiplier: 1.5,
          jitter: 0.1,
          codes: [Code.Unavailable, Code.Aborted],
          attemptTimeoutMs: 200,
          bufferBytes: 65_536,
        },
      },
    ],
    ["retry: { max_attempts: 1 }", { retry: { maxAttempts: 1 } }],
    [
      "hedge: { max_attempts: 3, delay: p99, codes: [INTERNAL], max_extra: 0.1 }",
      { hedge: { maxAttempts: 3, delayMs: "p99", codes: [Code.Internal], maxExtra: 0.1 } },
    ],
    ["hedge: {}", { hedge: {} }],
    ["circuit_breaker: {}", { circuitBreaker: {} }],
    [
      "circuit_breaker: { failure_ratio: 0.3, min_calls: 10, window: 5s, slow_call: 1s, open_for: 2s, max_open_for: 30s, probes: 2, probe_timeout: 3s, scope: endpoint, codes: [INTERNAL] }",
      {
        circuitBreaker: {
          failureRatio: 0.3,
          minCalls: 10,
          windowMs: 5_000,
          slowCallMs: 1_000,
          openForMs: 2_000,
          maxOpenForMs: 30_000,
          probes: 2,
          probeTimeoutMs: 3_000,
          scope: "endpoint",
          codes: [Code.Internal],
        },
      },
    ],
    ["circuit_breaker: { mode: adaptive, k: 3 }", { circuitBreaker: { mode: "adaptive", k: 3 } }],
    [
      "concurrency: { max: 50, queue: 100, queue_timeout: 1.5s }",
      { concurrency: { max: 50, queue: 100, queueTimeoutMs: 1_500 } },
    ],
    ["wait_for_ready: true", { waitForReady: true }],
    [
      "max_request_bytes: 64KiB, max_response_bytes: 1MiB",
      { maxRequestBytes: 65_536, maxResponseBytes: 1_048_576 },
    ],
  ];
  for (const [yaml, policy] of keys) {
    test(yaml, async () => {
      const config = await configOf(`policies: [{ selector: users.v1.UserService.*, ${yaml} }]`);
      const selector = "users.v1.UserService.*";
      assert.deepEqual(policyInits(config.policies, "policies", mistake), [{ selector, ...policy }]);
    });
  }
});

suite("keys of a rule of traffic are those of setTraffic", () => {
  const split = [
    { to: "users", weight: 95 },
    { to: "users-v2", weight: 5 },
  ];
  const fault = { percent: 1, allowHeaders: false, maxActive: 100 };
  const keys: readonly (readonly [yaml: string, rule: object])[] = [
    [
      "split: [{ to: users, weight: 95 }, { to: users-v2, weight: 5, name: canary }], fallback: false",
      { split: [split[0], { ...split[1], name: "canary" }], fallback: false },
    ],
    [
      "split: [{ to: users, weight: 95 }, { to: users-v2, weight: 5 }], when: [{ header: x-canary, is: always, to: users-v2 }, { cookie: beta, one_of: ['1', '2'], to: users-v2 }, { header: h, prefix: a, to: users }, { header: h, present: false, to: users }]",
      {
        split,
        fallback: true,
        when: [
          { header: "x-canary", is: "always", to: "users-v2" },
          { cookie: "beta", oneOf: ["1", "2"], to: "users-v2" },
          { header: "h", prefix: "a", to: "users" },
          { header: "h", present: false, to: "users" },
        ],
      },
    ],
    [
      "split: [{ to: users, weight: 95 }, { to: users-v2, weight: 5 }], sticky: { cookie: ts-ms-side, max_age: 24h }",
      { split, fallback: true, sticky: { cookie: "ts-ms-side", maxAgeMs: 86_400_000 } },
    ],
    [
      "split: [{ to: users, weight: 95 }, { to: users-v2, weight: 5 }], sticky: { header: x-user }",
      { split, fallback: true, sticky: { header: "x-user" } },
    ],
    [
      "mirror: { to: users-v2 }",
      { mirror: { to: "users-v2", percent: 100, maxInFlight: 100, bufferBytes: 1_048_576 } },
    ],
    [
      "mirror: { to: users-v2, percent: 10, methods: users.v1.*, max_in_flight: 5, buffer_bytes: 64KiB }",
      { mirror: { to: "users-v2", percent: 10, methods: "users.v1.*", maxInFlight: 5, bufferBytes: 65_536 } },
    ],
    ["faults: [{ percent: 1, delay: 200ms }]", { faults: [{ ...fault, delayMs: 200 }] }],
    [
      "faults: [{ percent: 0.5, abort: UNAVAILABLE, message: drill, methods: users.v1.*, when: [{ header: x-drill, present: true }], allow_headers: true, max_active: 7 }]",
      {
        faults: [
          {
            percent: 0.5,
            abort: Code.Unavailable,
            message: "drill",
            methods: "users.v1.*",
            when: [{ header: "x-drill", present: true }],
            allowHeaders: true,
            maxActive: 7,
          },
        ],
      },
    ],
  ];
  const none = {};
  for (const [yaml, rule] of keys) {
    test(yaml, async () => {
      const config = await configOf(`traffic: [{ selector: users.v1.*, ${yaml} }]`);
      assert.deepEqual(trafficRules(config.traffic), [{ selector: "users.v1.*", ...none, ...rule }]);
    });
  }
});
