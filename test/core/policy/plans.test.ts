import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { policy, service_policy } from "../../../gen/ts_ms/v1/policy_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import type { MethodPolicyInit, SelectedPolicy } from "../../../src/core/policy/method-policy.ts";
import { Plans } from "../../../src/core/policy/plans.ts";
import { policyFields } from "../../../src/core/policy/policy-fields.ts";
import { contractOf, serviceOf } from "../../support/contract.ts";

/** A service with these options, whose rpcs have these. */
function users(rpcOptions: Readonly<Record<string, string>> = {}, serviceOption = ""): DescService {
  const rpc = (name: string, own: string): string =>
    `rpc ${name} { ${own} ${rpcOptions[/^\w+/.exec(name)?.[0] ?? ""] ?? ""} }`;
  const safe = "option idempotency_level = NO_SIDE_EFFECTS;";
  const text = `syntax = "proto3";
    package users.v1;
    import "google/api/annotations.proto";
    import "ts_ms/v1/policy.proto";
    message User {}
    service UserService {
      ${serviceOption}
      ${rpc("GetUser(User) returns (User)", safe)}
      ${rpc("CreateUser(User) returns (User)", 'option (google.api.http) = { post: "/v1/users" body: "*" };')}
      ${rpc("ListUsers(User) returns (User)", 'option (google.api.http) = { get: "/v1/users" };')}
      ${rpc("PutUser(User) returns (User)", 'option (google.api.http) = { put: "/v1/users" body: "*" };')}
      ${rpc("DeleteUser(User) returns (User)", 'option (google.api.http) = { delete: "/v1/users" };')}
      ${rpc("WatchUsers(User) returns (stream User)", safe)}
    }`;
  return serviceOf(contractOf(text), "users.v1.UserService");
}

const plain = users();

function rpc(service: DescService, name: string): DescMethod {
  return service.methods.find((method) => method.name === name) ?? assert.fail(name);
}

function plan(service: DescService, name: string, ...policies: SelectedPolicy[]) {
  return new Plans({ policies }).of(rpc(service, name));
}

const option = (text: string): string => `option (ts_ms.v1.policy) = { ${text} };`;
const serviceOption = (text: string): string => `option (ts_ms.v1.service_policy) = { ${text} };`;
const get = "users.v1.UserService/GetUser";

test("the numbers of the options are those that contracts in use have", () => {
  assert.deepEqual([policy.number, service_policy.number], [61102, 61103]);
});

test("without policies a plan has the defaults", () => {
  const { lines, method, ...rest } = plan(plain, "GetUser");
  assert.equal(method.name, "GetUser");
  assert.deepEqual(rest, {
    timeoutMs: undefined,
    idempotency: "NO_SIDE_EFFECTS",
    retry: {
      maxAttempts: 3,
      initialBackoffMs: 50,
      maxBackoffMs: 1_000,
      backoffMultiplier: 2,
      jitter: 0.2,
      codes: [Code.Unavailable],
      attemptTimeoutMs: undefined,
      bufferBytes: 262_144,
      maySendAgain: true,
    },
    hedge: undefined,
    circuitBreaker: undefined,
    concurrency: undefined,
    waitForReady: false,
    maxRequestBytes: undefined,
    maxResponseBytes: undefined,
  });
  assert.deepEqual(
    lines.map(({ field, value, source }) => `${field} = ${value} (${source})`),
    [
      "idempotency = NO_SIDE_EFFECTS (contract)",
      "retry.max_attempts = 3 (default)",
      "retry.initial_backoff = 50ms (default)",
      "retry.max_backoff = 1s (default)",
      "retry.backoff_multiplier = 2 (default)",
      "retry.jitter = 0.2 (default)",
      "retry.codes = UNAVAILABLE (default)",
      "retry.buffer_bytes = 256KiB (default)",
      "wait_for_ready = false (default)",
    ],
  );
});

test("groups that are on have their defaults", () => {
  const { hedge } = plan(plain, "GetUser", { selector: get, hedge: {} });
  assert.deepEqual(hedge, {
    maxAttempts: 2,
    delay: { quantile: 0.95 },
    codes: [Code.Unavailable],
    maxExtra: 0.05,
  });
  const { circuitBreaker, concurrency } = plan(plain, "GetUser", {
    selector: get,
    circuitBreaker: {},
    concurrency: { max: 7 },
  });
  assert.deepEqual(circuitBreaker, {
    mode: "window",
    failureRatio: 0.5,
    minCalls: 20,
    windowMs: 10_000,
    slowCallMs: undefined,
    openForMs: 5_000,
    maxOpenForMs: 60_000,
    probes: 1,
    probeTimeoutMs: 30_000,
    scope: "method",
    codes: [Code.Unavailable, Code.DeadlineExceeded, Code.Internal, Code.Unknown, Code.DataLoss],
    k: 2,
  });
  assert.deepEqual(concurrency, { max: 7, queue: 0, queueTimeoutMs: 1_000, isShared: false });
});

test("what may be sent twice: the level, else the first HTTP binding", () => {
  const all = plain.methods.map(({ name }) => [name, plan(plain, name).idempotency]);
  assert.deepEqual(Object.fromEntries(all), {
    GetUser: "NO_SIDE_EFFECTS",
    CreateUser: "UNKNOWN",
    ListUsers: "NO_SIDE_EFFECTS",
    PutUser: "IDEMPOTENT",
    DeleteUser: "IDEMPOTENT",
    WatchUsers: "NO_SIDE_EFFECTS",
  });
  assert.equal(plan(plain, "CreateUser").retry.maySendAgain, false);
  const named = plan(plain, "CreateUser", { selector: "users.v1.*", idempotency: "IDEMPOTENT" });
  assert.equal(named.retry.maySendAgain, true);
});

test("each field is merged by itself: contract, service config, config, the last one first", () => {
  const service = users(
    { GetUser: option('timeout: "800ms" retry: { max_attempts: 5 jitter: 0.5 }') },
    serviceOption('timeout: "2s" max_request_bytes: "64KiB" retry: { attempt_timeout: "1.5s" jitter: 0.1 }'),
  );
  const plans = new Plans({
    policies: [
      { selector: "users.v1.*", retry: { maxAttempts: 4 } },
      { selector: "users.v1.UserService.*", retry: { maxAttempts: 2 }, maxResponseBytes: 4_096 },
    ],
    between: () => [
      {
        source: "service config",
        place: "service config",
        values: new Map([["retry.max_backoff", 9_000]]),
        groups: new Set(["retry"]),
        reach: "rpc",
      },
    ],
  });
  const lines = plans
    .lines(service)
    .filter(({ rpc: name, source }) => name.endsWith(".GetUser") && source !== "default");
  assert.deepEqual(
    lines.map(({ field, value, source }) => `${field} = ${value} (${source})`),
    [
      "timeout = 800ms (contract)",
      "idempotency = NO_SIDE_EFFECTS (contract)",
      "retry.max_attempts = 2 (config)",
      "retry.max_backoff = 9s (service config)",
      "retry.jitter = 0.5 (contract)",
      "retry.attempt_timeout = 1500ms (contract)",
      "max_request_bytes = 64KiB (contract)",
      "max_response_bytes = 4KiB (config)",
    ],
  );
  const without = new Plans({ contractPolicies: false }).of(rpc(service, "GetUser"));
  assert.equal(without.timeoutMs, undefined);
});

test("timeouts of a service or a wide selector are for its unary rpcs", () => {
  const service = users({}, serviceOption('timeout: "2s"'));
  assert.equal(plan(service, "CreateUser").timeoutMs, 2_000);
  assert.equal(plan(service, "WatchUsers").timeoutMs, undefined);
  const wide = { selector: "*", timeoutMs: 5 };
  assert.equal(plan(service, "WatchUsers", wide).timeoutMs, undefined);
  const own = { selector: "users.v1.UserService/WatchUsers", timeoutMs: 6 };
  assert.equal(plan(service, "WatchUsers", own).timeoutMs, 6);
});

test("the limit of a service is one for its rpcs together, that of an rpc its own", () => {
  const service = users(
    { CreateUser: option("concurrency: { max: 50 queue: 100 }") },
    serviceOption("concurrency: { max: 200 }"),
  );
  assert.deepEqual(plan(service, "GetUser").concurrency, {
    max: 200,
    queue: 0,
    queueTimeoutMs: 1_000,
    isShared: true,
  });
  assert.deepEqual(plan(service, "CreateUser").concurrency, {
    max: 50,
    queue: 100,
    queueTimeoutMs: 1_000,
    isShared: false,
  });
});

test("codes of retries count for an rpc that is not idempotent if they are set by its name", () => {
  const byName = { selector: "users.v1.UserService.CreateUser", retry: { codes: [Code.Aborted] } };
  assert.equal(plan(plain, "CreateUser", byName).retry.maySendAgain, true);
  const wide = { selector: "users.v1.UserService/*", retry: { codes: [Code.Aborted] } };
  assert.equal(plan(plain, "CreateUser", wide).retry.maySendAgain, false);
  const service = users({ CreateUser: option("retry: { codes: [UNAVAILABLE, ABORTED] }") });
  const { retry } = plan(service, "CreateUser");
  assert.deepEqual([retry.maySendAgain, retry.codes], [true, [Code.Unavailable, Code.Aborted]]);
});

suite("hedging", () => {
  test("takes the place of retries, whichever a later layer sets", () => {
    const service = users({ GetUser: option('hedge: { delay: "p99.9" }') });
    assert.deepEqual(plan(service, "GetUser").hedge?.delay, { quantile: 0.999 });
    const retried = plan(service, "GetUser", { selector: get, retry: { maxAttempts: 2 } });
    assert.equal(retried.hedge, undefined);
    const hedged = plan(service, "GetUser", { selector: get, hedge: { delayMs: 20 } });
    assert.deepEqual(hedged.hedge?.delay, { ms: 20 });
  });

  test("of a wide selector is for idempotent rpcs alone", () => {
    const wide = { selector: "users.v1.*", hedge: {} };
    assert.notEqual(plan(plain, "PutUser", wide).hedge, undefined);
    assert.equal(plan(plain, "CreateUser", wide).hedge, undefined);
  });
});

test("every field of a contract and of code is one of the table", () => {
  const code: MethodPolicyInit = {
    timeoutMs: 1,
    idempotency: "UNKNOWN",
    retry: {
      maxAttempts: 1,
      initialBackoffMs: 1,
      maxBackoffMs: 1,
      backoffMultiplier: 1,
      jitter: 0,
      codes: [Code.Internal],
      attemptTimeoutMs: 1,
      bufferBytes: 1,
    },
    circuitBreaker: {
      mode: "adaptive",
      failureRatio: 1,
      minCalls: 1,
      windowMs: 1,
      slowCallMs: 1,
      openForMs: 1,
      maxOpenForMs: 1,
      probes: 1,
      probeTimeoutMs: 1,
      scope: "target",
      codes: [Code.Internal],
      k: 1,
    },
    concurrency: { max: 1, queue: 0, queueTimeoutMs: 1 },
    waitForReady: true,
    maxRequestBytes: 1,
    maxResponseBytes: 1,
  };
  const hedge = { maxAttempts: 2, delayMs: 1, codes: [Code.Internal], maxExtra: 1 };
  const contract = users({
    GetUser: option(`timeout: "1ms" idempotency: "UNKNOWN"
      retry: { max_attempts: 1 initial_backoff: "1ms" max_backoff: "1ms" backoff_multiplier: 1 jitter: 0
        codes: [INTERNAL] attempt_timeout: "1ms" buffer_bytes: "1" }
      circuit_breaker: { mode: "adaptive" failure_ratio: 1 min_calls: 1 window: "1ms" slow_call: "1ms"
        open_for: "1ms" max_open_for: "1ms" probes: 1 probe_timeout: "1ms" scope: "target" codes: [INTERNAL] k: 1 }
      concurrency: { max: 1 queue: 0 queue_timeout: "1ms" }
      wait_for_ready: true max_request_bytes: "1" max_response_bytes: "1"`),
    ListUsers: option('hedge: { max_attempts: 2 delay: "1ms" codes: [INTERNAL] max_extra: 1 }'),
  });
  const list = "users.v1.UserService/ListUsers";
  const plansOf = [
    new Plans().lines(contract),
    new Plans({
      policies: [
        { selector: get, ...code },
        { selector: list, hedge },
      ],
    }).lines(plain),
  ].map((lines) => lines.filter(({ rpc: name }) => /\.(?:GetUser|ListUsers)$/.test(name)));
  const [ofContract = [], ofCode = []] = plansOf;
  const without = (lines: typeof ofContract) => lines.map(({ source: _, ...rest }) => rest);
  assert.deepEqual(without(ofContract), without(ofCode));
  const fields = ofContract.filter(({ source }) => source === "contract").map(({ field }) => field);
  assert.deepEqual(new Set(fields), new Set(policyFields.map(({ path }) => path)));
});

suite("what cannot be is refused when plans are made, by rpc and field", () => {
  for (const [text, expected] of [
    ['timeout: "2"', /GetUser: timeout must be a duration such as 250ms, 5s, 1\.5s or 2m, not "2"$/],
    ['timeout: "0"', /timeout must be a duration above 0/],
    ['timeout: "30d"', /timeout must be a duration/],
    ['idempotency: "safe"', /idempotency must be one of UNKNOWN, NO_SIDE_EFFECTS, IDEMPOTENT, not "safe"/],
    ["retry: { jitter: 1.5 }", /retry\.jitter must be a number, at least 0 and at most 1, not 1\.5/],
    ["retry: { max_attempts: 11 }", /retry\.max_attempts must be a whole number, from 1 to 10, not 11/],
    ["retry: { codes: [OK] }", /retry\.codes must be a list of codes of errors/],
    ['retry: { buffer_bytes: "64kb" }', /retry\.buffer_bytes must be a size such as/],
    ["retry: { backoff_multiplier: 0.5 }", /backoff_multiplier must be a number, at least 1, not 0\.5/],
    ['hedge: { delay: "p100" }', /hedge\.delay must be a duration such as 50ms, or a quantile such as p95/],
    ["hedge: { max_attempts: 1 }", /hedge\.max_attempts must be a whole number, from 2 to 10, not 1/],
    ["hedge: {} retry: {}", /hedge takes the place of retry: a policy has one of them/],
    ['circuit_breaker: { mode: "on" }', /circuit_breaker\.mode must be one of window, adaptive/],
    ['circuit_breaker: { scope: "host" }', /scope must be one of target, method, endpoint, endpoint_method/],
    ['circuit_breaker: { open_for: "2m" }', /circuit_breaker\.max_open_for must be at least open_for/],
    ["concurrency: {}", /concurrency\.max must be set/],
    ["concurrency: { max: 0 }", /concurrency\.max must be a whole number, at least 1, not 0/],
  ] as const) {
    test(text, () => {
      const service = users({ GetUser: option(text) });
      assert.throws(() => new Plans().lines(service), { name: "TypeError", message: expected });
      assert.throws(
        () => new Plans().lines(service),
        /contract\.proto: policy of users\.v1\.UserService\.GetUser: /,
      );
    });
  }

  test("hedge of an rpc that is not idempotent", () => {
    const service = users({ CreateUser: option("hedge: {}") });
    const expected = /policy of users\.v1\.UserService\.CreateUser: hedge is for rpcs that may be sent twice/;
    assert.throws(() => new Plans().lines(service), expected);
  });

  test("an option of a service is named as such", () => {
    const service = users({}, serviceOption('timeout: "fast"'));
    assert.throws(
      () => new Plans().lines(service),
      /proto: service_policy of users\.v1\.UserService: timeout/,
    );
  });

  for (const [given, expected] of [
    [
      { selector: "x", timeout: 5 },
      /^policies\[0\] \(x\): timeout is no field of a policy; did you mean timeoutMs\?$/,
    ],
    [{ selector: "x", retry: 3 }, /^policies\[0\] \(x\): retry must be an object, not 3$/],
    [{ selector: "x", retry: { maxAttemps: 3 } }, /retry\.maxAttemps is no field.*retry\.maxAttempts\?$/],
    [{ selector: "x", retry: { codes: [99] } }, /retry\.codes must be a list of codes/],
    [{ selector: "x", hedge: { delayMs: "soon" } }, /hedge\.delayMs must be a duration such as 50ms/],
    [{ selector: "x", waitForReady: "yes" }, /waitForReady must be true or false, not "yes"/],
    [{ selector: "" }, /^policies\[0\]: selector "": expected package\.Service\/Method/],
    [{ selector: "a/b/c" }, /selector "a\/b\/c"/],
    [{ timeoutMs: 5 }, /^policies\[0\]: selector is missing$/],
  ] as const) {
    test(`in code: ${JSON.stringify(given)}`, () => {
      assert.throws(() => new Plans({ policies: [given as unknown as SelectedPolicy] }), {
        name: "TypeError",
        message: expected,
      });
    });
  }

  test("a selector of a service that matches none of its rpcs", () => {
    const plans = new Plans({ policies: [{ selector: "users.v1.UserService.GetUsr", timeoutMs: 1 }] });
    assert.throws(
      () => plans.of(rpc(plain, "GetUser")),
      /^TypeError: policies\[0\] \(.*\): selector "users\.v1\.UserService\.GetUsr" matches no rpc of users\.v1\.UserService$/,
    );
    const elsewhere = new Plans({ policies: [{ selector: "orders.v1.*, users.v1.*", timeoutMs: 1 }] });
    assert.equal(elsewhere.of(rpc(plain, "GetUser")).timeoutMs, 1);
    assert.deepEqual(elsewhere.unmatched([plain]), ["orders.v1.*"]);
  });
});

test("selectors: names with a slash or a dot, services, packages, everything", () => {
  for (const [selector, expected] of [
    ["users.v1.UserService/GetUser", ["GetUser"]],
    ["users.v1.UserService.GetUser", ["GetUser"]],
    ["users.v1.UserService/GetUser, users.v1.UserService/PutUser", ["GetUser", "PutUser"]],
    ["users.v1.UserService/*", plain.methods.map(({ name }) => name)],
    ["users.*", plain.methods.map(({ name }) => name)],
    ["*", plain.methods.map(({ name }) => name)],
    ["users.v1.User.*", []],
    ["user.*", []],
  ] as const) {
    const plans = new Plans({ policies: [{ selector, maxRequestBytes: 9 }] });
    const matched = plain.methods.filter((method) => plans.of(method).maxRequestBytes === 9);
    assert.deepEqual(
      matched.map(({ name }) => name),
      expected,
      selector,
    );
  }
});
