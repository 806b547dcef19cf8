import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { CatalogEntry } from "../../../src/core/discovery/catalog.ts";
import {
  consulCatalog,
  type ConsulCatalogOptions,
} from "../../../src/core/discovery/consul/consul-catalog.ts";
import type { Endpoint } from "../../../src/core/discovery/resolver.ts";
import type { ConnectError } from "../../../src/core/errors/errors.ts";
import { FakeConsul, instance } from "../../support/fake-consul.ts";

/** A catalog before an agent whose calls are answered one by one. */
async function watched(t: TestContext, options: Partial<ConsulCatalogOptions> = {}) {
  const agent = await FakeConsul.start();
  const end = new AbortController();
  t.after(async () => {
    end.abort();
    await agent[Symbol.asyncDispose]();
  });
  const updates: (readonly CatalogEntry[])[] = [];
  const failures: ConnectError[] = [];
  let heard = Promise.withResolvers<void>();
  const catalog = consulCatalog({ url: agent.url, tag: "ts-ms", ...options });
  assert.equal(catalog.name, "consul");
  catalog.watch(
    {
      update(entries) {
        updates.push(entries);
        heard.resolve();
      },
      failed(error) {
        failures.push(error);
        heard.resolve();
      },
    },
    end.signal,
  );
  /** Answers the next call. @returns the call, after the catalog has heard of it */
  const answer = async (status: number, body: unknown, index: number) => {
    const call = await agent.next();
    heard = Promise.withResolvers<void>();
    call.reply(status, body, index);
    await heard.promise;
    return call;
  };
  return { agent, updates, failures, answer };
}

test("the services with the tag are upstreams, and their instances with the tag are called", async (t) => {
  const { updates, answer, agent } = await watched(t, { contract: { descriptors: "all.binpb" }, dc: "east" });
  const services = { consul: [], users: ["v1", "ts-ms"], orders: ["ts-ms"], mail: ["other"] };
  const call = await answer(200, services, 7);
  assert.equal(call.path, "/v1/catalog/services");
  assert.equal(call.query.get("dc"), "east");
  const [first] = updates;
  assert.deepEqual(
    first?.map(({ name, contract }) => [name, contract]),
    [
      ["orders", { descriptors: "all.binpb" }],
      ["users", { descriptors: "all.binpb" }],
    ],
  );
  const target = first?.find(({ name }) => name === "users")?.target;
  assert.ok(typeof target === "object" && "watch" in target);
  const end = new AbortController();
  t.after(() => end.abort());
  const found = Promise.withResolvers<readonly Endpoint[]>();
  target.watch({ update: found.resolve, failed: found.reject }, end.signal);
  for (;;) {
    const asked = await agent.next();
    if (asked.path === "/v1/catalog/services") continue; // It waits for changes.
    assert.equal(asked.path, "/v1/health/service/users");
    assert.equal(asked.query.get("tag"), "ts-ms");
    assert.equal(asked.query.get("dc"), "east");
    asked.reply(200, [instance("users-1", 42001)], 8);
    break;
  }
  assert.deepEqual(
    (await found.promise).map(({ address }) => address),
    ["10.0.0.1:42001"],
  );
});

test("changes come by blocking queries, and what stays has the same target", async (t) => {
  const { updates, answer } = await watched(t);
  await answer(200, { users: ["ts-ms"] }, 7);
  const call = await answer(200, { users: ["ts-ms"], orders: ["ts-ms"] }, 9);
  assert.equal(call.query.get("index"), "7");
  assert.equal(call.query.get("wait"), "55s");
  const [before, after] = updates;
  assert.equal(after?.length, 2);
  assert.equal(after?.find(({ name }) => name === "users")?.target, before?.[0]?.target);
});

test("a failure is reported, and what was found stays", async (t) => {
  const { updates, failures, answer } = await watched(t);
  await answer(403, "", 1);
  assert.match(failures[0]?.message ?? "", /lacks the ACL rules service_prefix ""/);
  assert.equal(updates.length, 0);
  await answer(200, [], 2);
  assert.match(String(failures[1]?.cause), /no object/);
});

test("a missing tag and a wrong URL are refused", () => {
  assert.throws(() => consulCatalog({ tag: "" }), /option tag must be a text/);
  assert.throws(() => consulCatalog(undefined as never), /option tag must be a text/);
  assert.throws(() => consulCatalog({ tag: "a", url: "ftp://a" }), /URL of a Consul agent/);
});
