import assert from "node:assert/strict";
import { test } from "node:test";
import { FeedService } from "../../../gen/tsms/test/v1/feed_pb.ts";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { peerIdentityKey } from "../../../src/core/metadata/peer-identity.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { HubOptions } from "../../../src/hub/hub-options.ts";
import { Table } from "../../../src/hub/connections/table.ts";
import { Entry } from "../../../src/hub/connections/entry.ts";
import { madeCall, type MadeCall } from "../../support/made-call.ts";
import { seeded } from "../../support/virtual-clock.ts";

/** A hub whose connections a test makes, and whose time it moves. */
function rig(options: Partial<HubOptions> = {}) {
  const time = { wallMs: 1_000_000 };
  const hub = new Hub(options, { wallMs: () => time.wallMs, random: () => 0.5 });
  /** Opens a connection. @returns its call, or the error by which it was refused */
  const open = async (call: MadeCall & { readonly user?: string } = {}) => {
    const { user } = call;
    const principal = user === undefined ? {} : { principal: { id: user } };
    const head = madeCall({ method: FeedService.method.follow, ...principal, ...call });
    try {
      await hub.attach().gate.admit(head);
      return head.context;
    } catch (reason) {
      head.context.end();
      return ConnectError.from(reason);
    }
  };
  const users = async (selector: Parameters<Hub["connections"]>[0] = {}) =>
    (await hub.connections(selector)).connections.map(({ user }) => user);
  return { hub, open, users, time };
}

/** The message of an error with INVALID_ARGUMENT. */
async function invalid(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => assert.fail("it was taken"),
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error.code, Code.InvalidArgument, error.message);
  return error.rawMessage;
}

test("what a selector says wrongly is named", async () => {
  const { hub } = rig();
  const cases: readonly (readonly [selector: object, message: RegExp])[] = [
    [{ user: ["ada"] }, /^selector\.user: there is no such field; did you mean users\?/],
    [{ users: "ada" }, /^selector\.users: a list of texts/],
    [{ doors: ["smtp"] }, /^selector\.doors: "smtp" is no door: grpc, /],
    [{ addresses: ["10.0.0.0/33"] }, /^selector\.addresses: "10\.0\.0\.0\/33" is no address/],
    [{ tags: ["pro"] }, /^selector\.tags: names with their values/],
    [{ except: { addresses: ["here"] } }, /^selector\.except\.addresses: "here"/],
    [{ except: { except: { except: { except: { users: [] } } } } }, /at most 4 deep/],
    [[], /^selector: an object/],
  ];
  for (const [selector, message] of cases) assert.match(await invalid(hub.count(selector)), message);
  for (const empty of [{}, { everybody: false }, { users: undefined }] as object[]) {
    assert.equal(await invalid(hub.close(empty)), "a selector needs a field, or everybody: true");
  }
  assert.match(await invalid(hub.count({}, "colour" as "door")), /^by: "colour" is not door/);
  assert.match(
    await invalid(hub.close({ doors: ["sse"] }, { refuseMs: 1 })),
    /^refuseMs: users or addresses/,
  );
  assert.match(await invalid(hub.close({ users: [] }, { refuseMs: -1 })), /^refuseMs: -1 is no time/);
  assert.match(await invalid(hub.connections({}, { pageSize: -1 })), /^pageSize: -1/);
  const nobody = { selected: 0, done: 0, failed: 0, unreachable: [] };
  assert.deepEqual(await hub.close({ users: ["nobody"] }), nobody);
});

test("a token of another query is refused", async () => {
  const { hub, open } = rig();
  for (let i = 0; i < 3; i++) await open({ user: `u${i}` });
  const { nextPageToken = "" } = await hub.connections({}, { pageSize: 2 });
  assert.equal((await hub.connections({}, { pageSize: 2, pageToken: nextPageToken })).connections.length, 1);
  for (const [selector, pageToken] of [
    [{ users: ["u1"] }, nextPageToken],
    [{}, "forged"],
    [{}, `${nextPageToken}x`],
  ] as const) {
    assert.match(
      await invalid(hub.connections(selector, { pageToken })),
      /^pageToken: it is of another query/,
    );
  }
});

test("options that cannot be used are named", () => {
  assert.throws(
    () => new Hub({ maxPerUsers: 1 } as object),
    /Hub: there is no option "maxPerUsers"; did you mean maxPerUser\?/,
  );
  assert.throws(() => new Hub({ maxPerUser: -1 }), /maxPerUser must not be negative/);
  assert.throws(() => new Hub({ onUserLimit: "drop" as "refuse" }), /onUserLimit must be "refuse"/);
  assert.throws(() => new Hub({ identify: "x" as never }), /identify must be a function/);
});

test("a connection that is there while all pages are read is on exactly one of them", async () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = seeded(seed);
    const { hub, open } = rig({ maxPerUser: 0 });
    const calls = new Map<number, Awaited<ReturnType<typeof open>>>();
    let last = 0;
    const come = async (): Promise<void> => void calls.set(++last, await open({ user: `${last % 3}` }));
    const go = (): number => {
      const all = [...calls.keys()];
      const number = all[Math.floor(random() * all.length)] ?? 0;
      const call = calls.get(number);
      if (call !== undefined && "end" in call) call.end();
      calls.delete(number);
      return number;
    };
    for (let i = 0; i < 300; i++) await come();
    for (let i = 0; i < 150 * random(); i++) go();
    const stayed = new Set(calls.keys());
    const seen: number[] = [];
    let pageToken: string | undefined;
    do {
      const page = await hub.connections(
        {},
        { pageSize: 1 + Math.floor(random() * 40), ...(pageToken && { pageToken }) },
      );
      seen.push(...page.connections.map(({ id }) => Number(id.split("-")[1])));
      pageToken = page.nextPageToken;
      for (let i = 0; i < 20 * random(); i++) {
        if (random() < 0.5) await come();
        else stayed.delete(go());
      }
    } while (pageToken !== undefined);
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      seen,
      "in the order of their ids",
    );
    assert.equal(new Set(seen).size, seen.length, "none twice");
    for (const number of stayed) assert.ok(seen.includes(number), `seed ${seed}: ${number}`);
    assert.equal((await hub.count()).total, calls.size);
    assert.equal(
      (await hub.connection(`${hub.node}-${[...calls.keys()][0]}`))?.user,
      `${([...calls.keys()][0] ?? 0) % 3}`,
    );
  }
});

test("a table that is empty again has nothing of those that were in it", () => {
  const table = new Table();
  const owner = {
    wallMs: () => 0,
    nowMs: () => 0,
    callEnded: () => {},
    left: () => {},
    renew: async () => {},
    confirmed: () => {},
  };
  const add = (number: number): Entry => {
    const init = {
      node: "n",
      server: {},
      number,
      door: "sse",
      method: undefined,
      address: `192.0.2.${number % 7}`,
    } as const;
    const entry = new Entry({ ...init, userAgent: "", socket: undefined }, owner);
    entry.identified({ user: `u${number % 5}` });
    table.add(entry);
    return entry;
  };
  const entries = Array.from({ length: 1_000 }, (_, place) => add(place + 1));
  assert.equal(table.users, 5);
  assert.equal(table.fromNetworkOf("192.0.2.3"), 143);
  for (const entry of entries.toReversed()) table.delete(entry);
  assert.deepEqual([table.size, table.users, table.fromNetworkOf("192.0.2.3"), [...table]], [0, 0, 0, []]);
});

test("an ended connection gives its place back once", async () => {
  const { hub, open } = rig({ maxPerUser: 1, maxPerAddress: 1, maxConnections: 1 });
  for (let i = 0; i < 5; i++) {
    const call = await open({ user: "ada" });
    assert.ok("end" in call);
    call.end();
    call.end();
    call.connection?.closed();
  }
  const { activeConnections, totalConnections, totalRequests } = await hub.statistics();
  assert.deepEqual([activeConnections, totalConnections, totalRequests], [0, 5, 5]);
});

test("limits count by network of an address and by user; health is never refused", async () => {
  const { hub, open } = rig({ maxPerAddress: 2, maxPerUser: 2, maxConnections: 5 });
  const code = async (call: Parameters<typeof open>[0]): Promise<Code | undefined> => {
    const opened = await open(call);
    return opened instanceof ConnectError ? opened.code : undefined;
  };
  assert.equal(await code({ user: "ada", ip: "2001:db8::1" }), undefined);
  assert.equal(await code({ user: "bob", ip: "2001:db8::2" }), undefined);
  assert.equal(await code({ user: "eve", ip: "2001:db8::3" }), Code.ResourceExhausted);
  assert.equal(await code({ user: "ada", ip: "192.0.2.1" }), undefined);
  assert.equal(await code({ user: "ada", ip: "192.0.2.2" }), Code.ResourceExhausted);
  assert.equal(await code({ ip: "192.0.2.3" }), undefined);
  assert.equal(await code({ ip: "192.0.2.4" }), undefined);
  const full = await open({ ip: "192.0.2.5" });
  assert.ok(full instanceof ConnectError);
  assert.equal(full.code, Code.Unavailable);
  assert.equal(retryAfterMsOf(full), 3_000);
  assert.equal(await code({ method: Health.method.watch, ip: "192.0.2.5" }), undefined);
  assert.equal((await hub.count()).total, 6);
  assert.equal((await hub.statistics()).refusedConnections, 3);
});

test("a refusal ends with its time", async () => {
  const { hub, open, time } = rig();
  await hub.close({ users: ["ada"], addresses: ["10.0.0.0/8"] }, { refuseMs: 5_000, reconnect: true });
  time.wallMs += 4_000;
  for (const call of [{ user: "ada" }, { ip: "10.1.2.3" }]) {
    const refused = await open(call);
    assert.ok(refused instanceof ConnectError);
    assert.equal(refused.code, Code.Unavailable);
    assert.equal(retryAfterMsOf(refused), 1_000);
  }
  assert.ok("end" in (await open({ user: "bob" })));
  time.wallMs += 1_000;
  assert.ok("end" in (await open({ user: "ada", ip: "10.1.2.3" })));
});

test("a connection belongs to the principal, else to the first name of its certificate", async () => {
  const { open, users } = rig();
  await open({ user: "ada" });
  await open();
  assert.deepEqual(await users(), ["ada", undefined]);
  const { hub } = rig();
  const head = madeCall({ method: FeedService.method.follow });
  const names = { uris: ["spiffe://x/a"], dnsNames: ["a.x"], emails: [], ipAddresses: [] };
  head.context.values.set(peerIdentityKey, { subject: "", fingerprint: "", ...names });
  await hub.attach().gate.admit(head);
  assert.equal((await hub.connections()).connections[0]?.user, "spiffe://x/a");
});

test("a client that leaves while its identity is found is no connection", async () => {
  const found = Promise.withResolvers<{ user: string }>();
  const { hub, open } = rig({ identify: () => found.promise });
  const opening = open();
  const head = madeCall({ method: FeedService.method.follow });
  const admitted = hub.attach().gate.admit(head);
  head.context.end();
  found.resolve({ user: "ada" });
  await Promise.all([opening, admitted]);
  assert.equal((await hub.count()).total, 1);
});

test("an identity with too many tags fails its call alone", async () => {
  const tags = Object.fromEntries(Array.from({ length: 17 }, (_, place) => [`t${place}`, ""]));
  const { hub, open } = rig({ identify: ({ requestHeader }) => (requestHeader.has("x") ? {} : { tags }) });
  const refused = await open();
  assert.ok(refused instanceof ConnectError);
  assert.match(refused.message, /identify: 17 tags; at most 16/);
  assert.equal((await hub.count()).total, 0);
});

test("a hub that was stopped has no connections and takes none", async () => {
  const { hub, open } = rig();
  const call = await open({ user: "ada" });
  assert.ok("reason" in call);
  await hub.stop();
  assert.equal(call.reason?.code, Code.Unavailable);
  call.end();
  const refused = await open();
  assert.ok(refused instanceof ConnectError && refused.code === Code.Unavailable);
  assert.equal((await hub.count()).total, 0);
  await hub.stop();
});
