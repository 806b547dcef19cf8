import assert from "node:assert/strict";
import { test } from "node:test";
import type { CatalogEntry } from "../../../src/core/discovery/catalog.ts";
import type { Endpoint, Resolver } from "../../../src/core/discovery/resolver.ts";
import { kubernetesCatalog } from "../../../src/entries/kubernetes.ts";
import { FakeKube, slice, sliceEndpoint } from "../../support/fake-kube.ts";

/** A service with ports. */
function service(name: string, ...ports: object[]): object {
  return { metadata: { name, namespace: "shop", resourceVersion: "3" }, spec: { ports } };
}

/** What a catalog finds, one update after the other. */
function follow(kube: FakeKube, options: object, signal: AbortSignal) {
  const updates: (readonly CatalogEntry[])[] = [];
  const failures: string[] = [];
  let changed = (): void => {};
  const catalog = kubernetesCatalog({ server: kube.url, namespace: "shop", ...options });
  assert.equal(catalog.name, "k8s");
  catalog.watch(
    {
      update(entries) {
        updates.push(entries);
        changed();
      },
      failed({ rawMessage }) {
        failures.push(rawMessage);
        changed();
      },
    },
    signal,
  );
  return {
    failures,
    async update(): Promise<readonly CatalogEntry[]> {
      while (updates.length === 0) await new Promise<void>((resolve) => (changed = resolve));
      return updates.shift() ?? [];
    },
    async failure(): Promise<string> {
      while (failures.length === 0) await new Promise<void>((resolve) => (changed = resolve));
      return failures.shift() ?? "";
    },
  };
}

test("services with the labels are upstreams, and the same ones keep their targets", async () => {
  await using kube = await FakeKube.start();
  const closed = new AbortController();
  const found = follow(
    kube,
    { labelSelector: "ts-ms=true", contract: { descriptors: "all.binpb" } },
    closed.signal,
  );
  const list = await kube.next();
  assert.equal(list.path, "/api/v1/namespaces/shop/services");
  assert.equal(list.query.get("labelSelector"), "ts-ms=true");
  const grpc = { name: "grpc", port: 1 };
  list.list([service("users", { name: "http", port: 80 }, grpc), service("orders", { port: 1 })], "10");
  const first = await found.update();
  const names = (entries: readonly CatalogEntry[]) => entries.map(({ name }) => name);
  assert.deepEqual(names(first), ["users", "orders"]);
  assert.deepEqual(first[0]?.contract, { descriptors: "all.binpb" });
  const watch = (await kube.next()).open();
  watch.event(
    "ADDED",
    service("stock", { name: "x", port: 1, appProtocol: "kubernetes.io/h2c" }, { name: "y", port: 2 }),
  );
  const second = await found.update();
  assert.deepEqual(names(second), ["users", "orders", "stock"]);
  assert.equal(second[0]?.target, first[0]?.target);
  watch.event("DELETED", service("users"));
  assert.deepEqual(names(await found.update()), ["orders", "stock"]);
  assert.deepEqual(found.failures, []);
  closed.abort();
});

test("the target of an entry finds the pods, at the port of gRPC", async () => {
  await using kube = await FakeKube.start();
  const closed = new AbortController();
  const found = follow(kube, {}, closed.signal);
  const ports = [
    { name: "web", port: 80 },
    { name: "rpc", port: 1, appProtocol: "grpc" },
  ];
  (await kube.next()).list([service("users", ...ports)], "10");
  const [entry] = await found.update();
  await kube.next();
  const resolver = entry?.target as Resolver; // Of Kubernetes.
  assert.equal(resolver.authority, "users.shop.svc");
  const pods = new Promise<readonly Endpoint[]>((update, failed) => {
    resolver.watch({ update, failed }, closed.signal);
  });
  const list = await kube.next();
  assert.equal(list.query.get("labelSelector"), "kubernetes.io/service-name=users");
  const slicePorts = [
    { name: "web", port: 8_080, protocol: "TCP" },
    { name: "rpc", port: 42_001, protocol: "TCP" },
  ];
  list.list([slice("s1", 1, [sliceEndpoint("10.0.0.1")], { ports: slicePorts })], "11");
  assert.deepEqual(await pods, [{ address: "10.0.0.1:42001" }]);
  closed.abort();
});

test("missing rights are named", async () => {
  await using kube = await FakeKube.start();
  const closed = new AbortController();
  const found = follow(kube, {}, closed.signal);
  (await kube.next()).reply(403);
  assert.equal(
    await found.failure(),
    "kubernetes: cannot list/watch services in shop: grant get, list, watch",
  );
  closed.abort();
});
