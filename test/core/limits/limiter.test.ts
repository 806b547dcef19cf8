import assert from "node:assert/strict";
import { test } from "node:test";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { VaultService } from "../../../gen/tsms/test/v1/vault_pb.ts";
import type { CallHead } from "../../../src/core/admission/call-head.ts";
import { refusalKindOf } from "../../../src/core/admission/refusal.ts";
import type { CallContext } from "../../../src/core/call/context.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { Limiter, type LimitsInit } from "../../../src/core/limits/limiter.ts";
import { madeCall, type MadeCall } from "../../support/made-call.ts";

function rig(init: LimitsInit) {
  const time = { nowMs: 1_000, wallMs: Date.UTC(2026, 0, 31, 23, 59, 50) };
  const clocks = { nowMs: () => time.nowMs, wallMs: () => time.wallMs };
  const limiter = new Limiter(init, { clocks });
  /** @returns the call if it passes, the error if it does not */
  const call = (made: MadeCall = {}): (CallHead & { readonly context: CallContext }) | ConnectError => {
    const head = madeCall(made);
    try {
      assert.equal(limiter.beforeAuthentication.admit(head), undefined);
      assert.equal(limiter.behindAuthentication.admit(head), undefined);
      return head;
    } catch (reason) {
      head.context.end();
      assert.ok(reason instanceof ConnectError);
      return reason;
    }
  };
  const passes = (made?: MadeCall): boolean => !(call(made) instanceof ConnectError);
  const refused = (made?: MadeCall): ConnectError => {
    const error = call(made);
    assert.ok(error instanceof ConnectError, "the call was not refused");
    return error;
  };
  const fields = (made?: MadeCall): Record<string, string> => {
    const head = call(made);
    assert.ok(!(head instanceof ConnectError));
    return Object.fromEntries(head.context.responseHeader);
  };
  return { limiter, time, call, passes, refused, fields };
}

test("R7 a refused call is told the limit, when to come again, and nothing of the key", () => {
  const { passes, refused } = rig({ logins: { key: ["ip"], rate: "1/1m" } });
  assert.ok(passes());
  const error = refused();
  assert.equal(error.code, Code.ResourceExhausted);
  assert.equal(refusalKindOf(error), "rate_limited");
  assert.equal(retryAfterMsOf(error), 60_000);
  assert.deepEqual(
    error.details.map((detail) => ("desc" in detail ? [detail.desc.typeName, detail.value] : [])),
    [
      [
        "google.rpc.ErrorInfo",
        { reason: "RATE_LIMIT_EXCEEDED", domain: "ts-ms", metadata: { limit: "logins" } },
      ],
      ["google.rpc.RetryInfo", { retryDelay: { seconds: 60n, nanos: 0 } }],
      [
        "google.rpc.QuotaFailure",
        { violations: [{ subject: "logins", description: "the limit logins (1/1m) is used up" }] },
      ],
    ],
  );
  assert.equal(error.metadata.get("ratelimit"), '"logins";r=0;t=60');
  assert.ok(!JSON.stringify([error.message, [...error.metadata]]).includes("192.0.2.1"));
});

test("R7 a quota says so", () => {
  const { passes, refused, time } = rig({ monthly: { key: ["global"], rate: "1/month" } });
  assert.ok(passes());
  const [info] = refused().details;
  assert.ok(info !== undefined && "desc" in info);
  assert.deepEqual(info.value, { reason: "QUOTA_EXCEEDED", domain: "ts-ms", metadata: { limit: "monthly" } });
  time.wallMs += 10_000;
  assert.ok(passes());
});

test("R1 a refused call takes nothing from any limit, before or behind the authentication", () => {
  const { passes, limiter, time } = rig({
    ip: { key: ["ip"], rate: "5/1m" },
    user: { key: ["principal"], rate: "2/1m" },
    rpc: { key: ["rpc"], rate: "100/1m" },
  });
  const bob = { principal: { id: "bob" } };
  assert.deepEqual(
    [passes(bob), passes(bob), passes(bob), passes(bob), passes(bob)],
    [true, true, false, false, false],
  );
  const eve = { principal: { id: "eve" } };
  assert.deepEqual(
    [passes(eve), passes(eve), passes(eve)],
    [true, true, false],
    "bob's three refused calls cost the address nothing",
  );
  const dan = { principal: { id: "dan" } };
  assert.deepEqual([passes(dan), passes(dan)], [true, false]);
  assert.deepEqual(
    limiter.decisions.map(({ limit, allowed, refused }) => [limit, allowed, refused]),
    [
      ["ip", 5, 1],
      ["user", 5, 4],
      ["rpc", 5, 0],
    ],
  );
  time.nowMs += 60_000;
  assert.ok(passes(bob));
});

test("R2 calls are counted by what they are, and never all together", () => {
  const table: readonly [key: string[], one: MadeCall, same: MadeCall, other: MadeCall][] = [
    [["ip"], { ip: "2001:db8::1" }, { ip: "2001:db8::2" }, { ip: "2001:db8:0:1::1" }],
    [["ip"], { ip: "192.0.2.1" }, { ip: "::ffff:192.0.2.1" }, { ip: "192.0.2.2" }],
    [
      ["principal"],
      { principal: { id: "a" } },
      { principal: { id: "a" }, ip: "192.0.2.9" },
      { principal: { id: "a", provider: "other" } },
    ],
    [["principal"], { ip: "192.0.2.1" }, { ip: "192.0.2.1" }, { ip: "192.0.2.2" }],
    [
      ["principal"],
      { principal: { id: "192.0.2.1" } },
      { principal: { id: "192.0.2.1" } },
      { ip: "192.0.2.1" },
    ],
    [
      ["claim:tenant"],
      { principal: { id: "a", claims: { tenant: "t" } } },
      { principal: { id: "b", claims: { tenant: "t" } } },
      { principal: { id: "t", claims: {} } },
    ],
    [
      ["claim:org.id"],
      { principal: { id: "a", claims: { org: { id: 7 } } } },
      { principal: { id: "b", claims: { org: { id: 7 } } } },
      { principal: { id: "b", claims: { org: { id: 8 } } } },
    ],
    [
      ["header:X-Key"],
      { headers: { "x-key": "a" } },
      { headers: { "x-key": "a" }, ip: "192.0.2.9" },
      { ip: "192.0.2.1" },
    ],
    [
      ["header:x-key"],
      { headers: { "x-key": "k".repeat(128) } },
      { headers: { "x-key": "k".repeat(500) } },
      { headers: { "x-key": "k".repeat(127) } },
    ],
    [["rpc"], {}, { ip: "192.0.2.9" }, { method: EchoService.method.repeat }],
    [["route"], { route: "/a/{b}" }, { route: "/a/{b}" }, { route: undefined as unknown as string }],
    [["door"], { door: "grpc" }, { door: "grpc" }, { door: "rest" }],
    [
      ["ip", "header:x-a"],
      { headers: { "x-a": "b" } },
      { headers: { "x-a": "b" } },
      { headers: { "x-a": "c" } },
    ],
  ];
  for (const [key, one, same, other] of table) {
    const { passes } = rig({ limit: { key, rate: "1/1m" } });
    assert.deepEqual([passes(one), passes(same), passes(other)], [true, false, true], key.join());
  }
  const all = rig({ limit: { key: ["global"], rate: "1/1m" } });
  assert.deepEqual([all.passes({ ip: "1.1.1.1" }), all.passes({ ip: "2.2.2.2" })], [true, false]);
});

test("R4 a limit that needs no principal is asked before the authentication", () => {
  const { limiter } = rig({
    ip: { key: ["ip"], rate: "1/1m" },
    user: { key: ["principal", "ip"], rate: "1/1m" },
    excused: { key: ["ip"], rate: "1/1m", exempt: ["role:admin"] },
  });
  assert.deepEqual(limiter.describe(EchoService.method.echo), [
    "ip (1/1m by ip)",
    "user (1/1m by principal ip)",
    "excused (1/1m by ip)",
  ]);
  const head = madeCall();
  void limiter.beforeAuthentication.admit(head);
  assert.throws(() => limiter.beforeAuthentication.admit(madeCall()), ConnectError);
  void limiter.behindAuthentication.admit(head);
});

test("R8 good answers say what is left, the tightest limit first", () => {
  const { fields } = rig({
    "per-user": { key: ["principal"], rate: "100/1m" },
    burst: { key: ["ip"], rate: "10/1s", burst: 20 },
    monthly: { key: ["global"], rate: "1000/month" },
    watchers: { key: ["ip"], concurrent: 3 },
    quiet: { key: ["ip"], rate: "1/1s", headers: "off" },
    shadow: { key: ["ip"], rate: "1/1s", mode: "shadow" },
  });
  assert.deepEqual(fields({ principal: { id: "a" } }), {
    ratelimit: '"watchers";r=2, "burst";r=19;t=1, "per-user";r=99;t=60, "monthly";r=999;t=10',
    "ratelimit-policy":
      '"watchers";q=3;qu="concurrent-requests", "burst";q=10;w=1, "per-user";q=100;w=60, "monthly";q=1000',
  });
});

test("R8 the three headers are of the tightest limit", () => {
  const trio = rig({
    a: { key: ["ip"], rate: "5/1m", headers: "trio" },
    b: { key: ["ip"], rate: "3/10s", headers: "trio" },
  });
  assert.deepEqual(trio.fields(), {
    "ratelimit-limit": "3",
    "ratelimit-remaining": "2",
    "ratelimit-reset": "10",
  });
  const both = rig({ a: { key: ["ip"], rate: "5/1m", headers: "both" } });
  assert.deepEqual(Object.keys(both.fields()), [
    "ratelimit",
    "ratelimit-limit",
    "ratelimit-policy",
    "ratelimit-remaining",
    "ratelimit-reset",
  ]);
});

test("R9 a limit in shadow mode counts, and refuses no call", () => {
  const { passes, limiter } = rig({ new: { key: ["ip"], rate: "1/1m", mode: "shadow" } });
  assert.deepEqual([passes(), passes(), passes()], [true, true, true]);
  assert.deepEqual(limiter.decisions, [{ limit: "new", allowed: 1, refused: 0, shadow: 2, degraded: 0 }]);
});

test("R1 open calls are counted until they end", () => {
  const { call, passes, refused, limiter } = rig({ watchers: { key: ["principal"], concurrent: 2 } });
  const bob = { principal: { id: "bob" } };
  const [first, second] = [call(bob), call(bob)];
  assert.equal(refused(bob).rawMessage, "the limit watchers allows 2 open calls");
  assert.ok(passes({ principal: { id: "eve" } }));
  assert.ok(!(first instanceof ConnectError) && !(second instanceof ConnectError));
  first.context.end();
  assert.ok(passes(bob));
  assert.ok(!passes(bob));
  assert.equal(limiter.openCalls, 3);
});

test("R1 a call that its client has left is open until its handler has settled", async () => {
  const { call, passes } = rig({ watchers: { key: ["ip"], concurrent: 1 } });
  const first = call();
  assert.ok(!(first instanceof ConnectError));
  const { promise, resolve } = Promise.withResolvers<void>();
  first.context.work = promise;
  first.context.abort(new ConnectError("left", Code.Canceled));
  first.context.end();
  assert.equal(passes(), false);
  resolve();
  await promise;
  assert.equal(passes(), true);
});

test("R1 R9 limits are for their rpcs and doors, and not for who is exempt", () => {
  const { passes } = rig({
    echo: {
      rpc: ["tsms.test.v1.EchoService/Echo"],
      door: ["rest"],
      key: ["global"],
      rate: "1/1m",
      exempt: ["10.0.0.0/8", "principal:corp/ops", "role:admin"],
    },
  });
  assert.ok(passes());
  assert.equal(passes(), false);
  const free: MadeCall[] = [
    { door: "grpc" },
    { method: EchoService.method.repeat },
    { ip: "10.1.2.3" },
    { principal: { id: "ops" } },
    { principal: { id: "x", roles: new Set(["admin"]) } },
  ];
  for (const one of free) assert.ok(passes(one));
  assert.equal(passes({ principal: { id: "ops", provider: "other" } }), false);
});

test("health is limited only by name", () => {
  const { passes } = rig({ all: { key: ["global"], rate: "1/1m" } });
  const method = Health.method.check;
  assert.deepEqual([passes({ method }), passes({ method }), passes(), passes()], [true, true, true, false]);
  const named = rig({ health: { rpc: ["grpc.health.v1.Health/*"], key: ["global"], rate: "1/1m" } });
  assert.deepEqual([named.passes({ method }), named.passes({ method })], [true, false]);
});

test("a call takes the cost of its limit times that of its rpc", () => {
  const method = VaultService.method.seal; // Its contract says that it costs 5.
  const { passes } = rig({ a: { key: ["ip"], rate: "19/1m", cost: 2 } });
  assert.deepEqual([passes({ method }), passes({ method }), passes(), passes()], [true, false, true, true]);
});

test("what is used can be asked, and forgotten", async () => {
  const { limiter, passes } = rig({
    user: { key: ["principal", "rpc"], rate: "3/1m" },
    open: { key: ["ip"], concurrent: 5 },
  });
  const bob = { principal: { id: "bob" } };
  passes(bob);
  passes(bob);
  const key = ["corp/bob", "tsms.test.v1.EchoService/Echo"];
  assert.deepEqual(await limiter.usage("user", ...key), { used: 2, remaining: 1, resetMs: 60_000 });
  assert.deepEqual(await limiter.usage("open", "192.0.2.1"), { used: 2, remaining: 3, resetMs: undefined });
  await limiter.reset("user", ...key);
  assert.deepEqual(await limiter.usage("user", ...key), { used: 0, remaining: 3, resetMs: 60_000 });
  await assert.rejects(limiter.usage("users", "x"), /there is no limit "users"; did you mean user\?/);
  await assert.rejects(limiter.usage("user", "x"), /has 2 parts, not 1/);
});

test("a quota that a restart forgets is warned of", () => {
  const { limiter } = rig({
    monthly: { key: ["ip"], rate: "5/month" },
    minute: { key: ["ip"], rate: "5/1m" },
  });
  assert.deepEqual(limiter.warnings, [
    "limit monthly: a restart forgets what is used of 5/month; use store: redis",
  ]);
});

test("a reload keeps the counts of what has not changed", () => {
  const { limiter, passes } = rig({ a: { key: ["ip"], rate: "1/1m" } });
  assert.ok(passes());
  limiter.replace({ a: { key: ["ip"], rate: "1/1m" }, b: { key: ["global"], rate: "100/1m" } });
  assert.equal(passes(), false);
  assert.throws(() => limiter.replace({ a: { key: [], rate: "1/1m" } }));
  assert.equal(passes(), false);
  limiter.replace({ a: { key: ["ip"], rate: "2/1m" } });
  assert.deepEqual([passes(), passes(), passes()], [true, true, false]);
  limiter.replace({});
  assert.ok(passes());
});

test("what cannot be a limit is refused with the cure", () => {
  const table: readonly [LimitsInit, RegExp][] = [
    [{ a: { key: ["ip"] } }, /limit "a": needs rate, such as 100\/1m, or concurrent/],
    [{ a: { key: [], rate: "1/1m" } }, /limit "a": key is missing/],
    [{ a: { key: ["user"], rate: "1/1m" } }, /limit "a": key "user": expected ip, principal/],
    [{ a: { key: ["claim:"], rate: "1/1m" } }, /limit "a": key "claim:"/],
    [{ a: { key: ["ip"], rate: "1/week" } }, /limit "a": must be a duration/],
    [{ a: { key: ["ip"], rate: "1/1m", store: "redis" } }, /limit "a": store redis needs the URL/],
    [
      { a: { key: ["ip"], concurrent: 1, store: "redis" } },
      /limit "a": concurrent counts the open calls of one process/,
    ],
    [{ a: { key: ["ip"], rate: "1/day", burst: 3 } }, /limit "a": burst needs a rate/],
    [{ a: { key: ["ip"], rate: "1/1m", cost: 0 } }, /limit "a": cost must be a whole number/],
    [
      { a: { key: ["ip"], rate: "1/1m", exempt: ["admin"] } },
      /limit "a": exempt "admin": expected an address/,
    ],
    [{ a: { key: ["ip"], rate: "1/1m", rpc: ["not a selector"] } }, /limit "a": selector/],
    [{ 'a"b': { key: ["ip"], rate: "1/1m" } }, /a name has letters/],
  ];
  for (const [init, message] of table) assert.throws(() => new Limiter(init), message);
});
