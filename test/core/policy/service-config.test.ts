import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code } from "../../../src/core/errors/errors.ts";
import { Plans } from "../../../src/core/policy/plans.ts";
import type { MethodPlan } from "../../../src/core/policy/plan.ts";
import { readServiceConfig, type ServiceConfig } from "../../../src/core/policy/service-config.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";

const service = "tsms.test.v1.EchoService";
const { echo, repeat, collect } = EchoService.method;

function planOf(config: object, method: (typeof EchoService.methods)[number] = echo): MethodPlan {
  return new Plans({ between: readServiceConfig(config).between }).of(method);
}

const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: "0.1s",
  maxBackoff: "1s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/** The plan of an rpc with this entry for all rpcs. */
const withEntry = (entry: object, method = echo): MethodPlan =>
  planOf({ methodConfig: [{ name: [{}], ...entry }] }, method);

test("an empty config says nothing, and unknown members are ignored", () => {
  const nothing: Omit<ServiceConfig, "between"> = {
    balancing: undefined,
    retryThrottling: undefined,
    healthService: undefined,
    maxConnections: undefined,
  };
  for (const config of [{}, "{}", { unknown: 1, methodConfig: null, loadBalancingConfig: [] }]) {
    const { between, ...rest } = readServiceConfig(config);
    assert.deepEqual(rest, nothing);
    assert.deepEqual(between(echo), []);
  }
  const plan = withEntry({ unknown: { a: 1 }, retryPolicy: { ...retryPolicy, unknown: 1 } });
  assert.equal(plan.retry.maxAttempts, 4);
});

test("the most specific entry is the one of an rpc, alone", () => {
  const config = {
    methodConfig: [
      { name: [{}], timeout: "1s", waitForReady: true },
      { name: [{ service }, { service: "other.v1.Other", method: null }], timeout: "2s" },
      { name: [{ service, method: "Echo" }], timeout: "3s" },
      { timeout: "4s" },
    ],
  };
  assert.deepEqual([planOf(config).timeoutMs, planOf(config).waitForReady], [3_000, false]);
  assert.deepEqual([planOf(config, collect).timeoutMs, planOf(config, collect).waitForReady], [2_000, false]);
  const fallback = { methodConfig: config.methodConfig.slice(0, 1) };
  assert.deepEqual([planOf(fallback, repeat).timeoutMs, planOf(fallback).waitForReady], [1_000, true]);
});

test("values are read as the JSON mapping reads them", () => {
  const plan = withEntry({
    timeout: "1.500000001s",
    maxRequestMessageBytes: "1024",
    maxResponseMessageBytes: 0,
    retryPolicy: {
      ...retryPolicy,
      maxAttempts: "9",
      backoffMultiplier: 1.5,
      retryableStatusCodes: ["unavailable", 8, "Cancelled", "DEADLINE_EXCEEDED"],
      perAttemptRecvTimeout: "0.25s",
    },
  });
  assert.deepEqual([plan.timeoutMs, plan.maxRequestBytes, plan.maxResponseBytes], [1500.000001, 1024, 0]);
  assert.deepEqual(plan.retry, {
    maxAttempts: 5,
    initialBackoffMs: 100,
    maxBackoffMs: 1_000,
    backoffMultiplier: 1.5,
    jitter: 0.2,
    codes: [Code.Unavailable, Code.ResourceExhausted, Code.Canceled, Code.DeadlineExceeded],
    attemptTimeoutMs: 250,
    bufferBytes: 256 * 1024,
    maySendAgain: true,
  });
  assert.deepEqual(
    plan.lines.filter(({ source }) => source === "service config").map(({ field }) => field),
    [
      "timeout",
      "retry.max_attempts",
      "retry.initial_backoff",
      "retry.max_backoff",
      "retry.backoff_multiplier",
    ].concat(["retry.codes", "retry.attempt_timeout", "max_request_bytes", "max_response_bytes"]),
  );
});

test("a hedging policy makes the rpcs hedged that have it", () => {
  const plan = withEntry({ hedgingPolicy: { maxAttempts: 3, nonFatalStatusCodes: ["INTERNAL"] } });
  assert.deepEqual(plan.hedge, { maxAttempts: 3, delay: { ms: 0 }, codes: [Code.Internal], maxExtra: 2 });
  assert.equal(plan.idempotency, "IDEMPOTENT");
  const late = withEntry({ hedgingPolicy: { maxAttempts: 2, hedgingDelay: "0.5s" } });
  assert.deepEqual(late.hedge, { maxAttempts: 2, delay: { ms: 500 }, codes: [], maxExtra: 1 });
});

test("it stands between the contract and the policies of code", () => {
  const { between } = readServiceConfig({ methodConfig: [{ name: [{}], timeout: "2s", retryPolicy }] });
  const policies = [{ selector: `${service}/Echo`, timeoutMs: 500 }];
  const plan = new Plans({ between, policies }).of(echo);
  assert.deepEqual([plan.timeoutMs, plan.retry.maxAttempts], [500, 4]);
});

suite("the first load balancing policy that is known is used", () => {
  const cases: readonly (readonly [object, object])[] = [
    [{ pick_first: { shuffleAddressList: true } }, { balance: { policy: "pick_first" } }],
    [{ round_robin: {} }, { balance: { policy: "round_robin" } }],
    [{ weighted_round_robin: { blackoutPeriod: "1s" } }, { balance: { policy: "round_robin" } }],
    [{ least_request_experimental: {} }, { balance: { policy: "least_request", choices: 2 } }],
    [
      { least_request_experimental: { choiceCount: 11 } },
      { balance: { policy: "least_request", choices: 10 } },
    ],
    [{ ring_hash_experimental: { minRingSize: 10 } }, { balance: { policy: "random" } }],
    [
      { ring_hash_experimental: { requestHashHeader: "x-user" } },
      { balance: { policy: "hash", header: "x-user" } },
    ],
    [
      { random_subsetting_experimental: { subsetSize: 5, childPolicy: [{ a: {} }, { round_robin: {} }] } },
      { balance: { policy: "round_robin" }, subset: 5 },
    ],
    [
      { outlier_detection_experimental: { childPolicy: [{ round_robin: {} }] } },
      { balance: { policy: "round_robin" }, outlier: false },
    ],
    [
      {
        outlier_detection_experimental: {
          childPolicy: [{ round_robin: {} }],
          baseEjectionTime: "400s",
          failurePercentageEjection: { threshold: 50, requestVolume: 7 },
          successRateEjection: {},
        },
      },
      {
        balance: { policy: "round_robin" },
        outlier: {
          consecutiveFailures: Number.MAX_SAFE_INTEGER,
          failureRatio: 0.5,
          minCalls: 7,
          intervalMs: 10_000,
          baseMs: 400_000,
          maxMs: 400_000,
          maxEjectionPercent: 10,
        },
      },
    ],
    [
      {
        outlier_detection_experimental: {
          childPolicy: [{ pick_first: {} }],
          interval: "5s",
          maxEjectionPercent: 30,
          successRateEjection: { stdevFactor: 1_000 },
          failurePercentageEjection: { enforcementPercentage: 0 },
        },
      },
      {
        balance: { policy: "pick_first" },
        outlier: {
          consecutiveFailures: Number.MAX_SAFE_INTEGER,
          failureRatio: 0.85,
          minCalls: 100,
          intervalMs: 5_000,
          baseMs: 30_000,
          maxMs: 300_000,
          maxEjectionPercent: 30,
        },
      },
    ],
  ];
  for (const [policy, expected] of cases) {
    test(JSON.stringify(policy), () => {
      const unknown = { of_the_future: { any: 1 } };
      const { balancing } = readServiceConfig({
        loadBalancingPolicy: "round_robin",
        loadBalancingConfig: [unknown, policy, { pick_first: { shuffleAddressList: 1 } }],
      });
      assert.deepEqual(balancing, expected);
    });
  }
});

test("the deprecated name of a policy counts without a list", () => {
  const by = (loadBalancingPolicy: string) => readServiceConfig({ loadBalancingPolicy }).balancing;
  assert.deepEqual(by("ROUND_ROBIN"), { balance: { policy: "round_robin" } });
  assert.equal(by("UNSPECIFIED"), undefined);
});

test("throttling, health checks and connections", () => {
  const config = readServiceConfig({
    retryThrottling: { maxTokens: 100, tokenRatio: 0.12345 },
    healthCheckConfig: { serviceName: "" },
    connectionScaling: { maxConnectionsPerSubchannel: 20 },
  });
  assert.deepEqual(config.retryThrottling, { maxTokens: 100, tokenRatio: 0.123 });
  assert.equal(config.healthService, "");
  assert.equal(config.maxConnections, 10);
  assert.equal(readServiceConfig({ healthCheckConfig: {} }).healthService, undefined);
  assert.equal(readServiceConfig({ connectionScaling: {} }).maxConnections, undefined);
});

suite("what is wrong is named", () => {
  const name = [{ service }];
  const entry = (more: object): object => ({ methodConfig: [{ name, ...more }] });
  const retry = (more: object): object => entry({ retryPolicy: { ...retryPolicy, ...more } });
  const lb = (more: object): object => ({ loadBalancingConfig: [more] });
  const child = [{ round_robin: {} }];
  const cases: readonly (readonly [unknown, RegExp])[] = [
    ["{", /^TypeError: serviceConfig is no JSON: /],
    [[], /^TypeError: serviceConfig must be an object, not \[\]$/],
    [{ methodConfig: {} }, /serviceConfig\.methodConfig must be a list/],
    [{ methodConfig: [1] }, /serviceConfig\.methodConfig\[0\] must be an object, not 1/],
    [
      entry({ name: [{ method: "Echo" }] }),
      /name\[0\]\.service must be given with the method Echo, and is missing/,
    ],
    [
      entry({ name: [{ service }, { service, method: "" }] }),
      /name\[1\]: tsms\.test\.v1\.EchoService\/ has an entry/,
    ],
    [entry({ name: [{ service: 1 }] }), /name\[0\]\.service must be a text, not 1/],
    [entry({ timeout: 2 }), /methodConfig\[0\]\.timeout must be seconds such as "1\.5s", not 2/],
    [entry({ timeout: "2" }), /must be seconds such as "1\.5s", not "2"/],
    [entry({ timeout: "-1s" }), /must be seconds/],
    [entry({ timeout: "0s" }), /timeout must be above 0s, not "0s"/],
    [entry({ waitForReady: 1 }), /waitForReady must be true or false, not 1/],
    [entry({ maxRequestMessageBytes: 1.5 }), /maxRequestMessageBytes must be a whole number/],
    [entry({ maxRequestMessageBytes: -1 }), /maxRequestMessageBytes must be a number from 0/],
    [entry({ retryPolicy, hedgingPolicy: { maxAttempts: 2 } }), /only one of them may be set/],
    [retry({ maxAttempts: 1 }), /retryPolicy\.maxAttempts must be a whole number from 2, not 1/],
    [retry({ maxAttempts: undefined }), /maxAttempts must be a whole number from 2, and is missing/],
    [
      retry({ initialBackoff: null }),
      /initialBackoff must be seconds such as "0\.1s", and is missing|not null/,
    ],
    [retry({ maxBackoff: "0s" }), /maxBackoff must be above 0s/],
    [retry({ backoffMultiplier: 0 }), /backoffMultiplier must be a number above 0, not 0/],
    [retry({ retryableStatusCodes: [] }), /retryableStatusCodes must be a list of codes with one at least/],
    [
      retry({ retryableStatusCodes: ["NOPE"] }),
      /retryableStatusCodes\[0\] must be the code of an error.*not "NOPE"/,
    ],
    [retry({ retryableStatusCodes: ["OK"] }), /not "OK"/],
    [retry({ retryableStatusCodes: [17] }), /not 17/],
    [entry({ hedgingPolicy: {} }), /hedgingPolicy\.maxAttempts must be a whole number from 2/],
    [
      { retryThrottling: { maxTokens: 1_001, tokenRatio: 1 } },
      /maxTokens must be a whole number from 1 to 1000/,
    ],
    [{ retryThrottling: { maxTokens: 1, tokenRatio: 0.0001 } }, /tokenRatio must be a number above 0/],
    [lb({}), /loadBalancingConfig\[0\] must have one member/],
    [lb({ round_robin: {}, pick_first: {} }), /must have one member/],
    [
      lb({ grpclb: {} }),
      /loadBalancingConfig has no policy that is known here: these are pick_first, round_robin,/,
    ],
    [lb({ round_robin: 1 }), /loadBalancingConfig\[0\]\.round_robin must be an object, not 1/],
    [lb({ least_request_experimental: { choiceCount: 1 } }), /choiceCount must be at least 2, not 1/],
    [
      lb({ ring_hash_experimental: { minRingSize: 2_000, maxRingSize: 1_000 } }),
      /maxRingSize must be at least/,
    ],
    [lb({ ring_hash_experimental: { minRingSize: 0 } }), /minRingSize must be from 1/],
    [lb({ ring_hash_experimental: { requestHashHeader: "a-bin" } }), /requestHashHeader must be the name/],
    [
      lb({ random_subsetting_experimental: { childPolicy: child } }),
      /subsetSize must be at least 1, and is missing/,
    ],
    [lb({ random_subsetting_experimental: { subsetSize: 1 } }), /childPolicy must be a list of policies/],
    [lb({ outlier_detection_experimental: {} }), /childPolicy must be a list of policies/],
    [
      lb({ outlier_detection_experimental: { childPolicy: child, maxEjectionPercent: 101 } }),
      /maxEjectionPercent must be from 0 to 100, not 101/,
    ],
    [
      { loadBalancingPolicy: "grpclb" },
      /loadBalancingPolicy must be pick_first or round_robin, not "grpclb"/,
    ],
    [{ healthCheckConfig: { serviceName: 1 } }, /healthCheckConfig\.serviceName must be a text/],
    [
      { connectionScaling: { maxConnectionsPerSubchannel: "a" } },
      /maxConnectionsPerSubchannel must be a number/,
    ],
  ];
  for (const [config, text] of cases) {
    test(JSON.stringify(config), () => assert.throws(() => readServiceConfig(config), text));
  }
});
