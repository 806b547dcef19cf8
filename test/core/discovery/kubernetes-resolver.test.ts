import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import type { KubernetesOptions } from "../../../src/core/discovery/kubernetes/kube-api.ts";
import { kubernetesResolver } from "../../../src/core/discovery/kubernetes/kubernetes-resolver.ts";
import type { Endpoint, Resolver } from "../../../src/core/discovery/resolver.ts";
import type { ConnectError } from "../../../src/core/errors/errors.ts";
import { createCertificate } from "../../support/certificates.ts";
import { FakeKube, slice, sliceEndpoint, type KubeCall } from "../../support/fake-kube.ts";
import { seeded, VirtualClock } from "../../support/virtual-clock.ts";

/** A resolver on a clock of its own before an API server whose calls are answered one by one. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly kube: FakeKube;
  readonly updates: (readonly Endpoint[])[] = [];
  readonly failures: ConnectError[] = [];
  readonly resolver: Resolver;
  readonly #closed = new AbortController();
  #changed: () => void = () => {};

  constructor(kube: FakeKube, options: KubernetesOptions = {}, target = "users.shop", podFolder = "/no-pod") {
    this.kube = kube;
    const parts = { clock: this.clock, random: () => 0.5, podFolder };
    this.resolver = kubernetesResolver(target, { server: kube.url, ...options }, parts);
    const update = (list: readonly Endpoint[]): void => {
      this.updates.push(list);
      this.#changed();
    };
    const failed = (error: ConnectError): void => {
      this.failures.push(error);
      this.#changed();
    };
    this.resolver.watch({ update, failed }, this.#closed.signal);
  }

  static async start(): Promise<Rig> {
    return new Rig(await FakeKube.start());
  }

  get hosts(): string {
    return (this.updates.at(-1) ?? [])
      .map(({ address }) => address.replace(/^10\.0\.0\.(\d+):42001$/, "$1"))
      .join();
  }

  /** Resolves once the last update has these endpoints. */
  async until(hosts: string): Promise<void> {
    while (this.hosts !== hosts) await new Promise<void>((resolve) => (this.#changed = resolve));
  }

  /** Resolves with the error of the next failure that has not been taken. */
  async failure(): Promise<ConnectError> {
    for (;;) {
      const error = this.failures.shift();
      if (error !== undefined) return error;
      await new Promise<void>((resolve) => (this.#changed = resolve));
    }
  }

  /** Waits until the resolver pauses, and passes the pause. @returns its length in milliseconds */
  async passPause(): Promise<number> {
    // While a request is under way the only timers are those of its end, 10 s or more ahead.
    const begin = this.clock.nowMs();
    for (let turn = 0; turn < 1_000; turn++) {
      const ms = (this.clock.nextMs ?? Number.POSITIVE_INFINITY) - begin;
      if (ms < 9_000) {
        this.clock.advance(ms);
        return Math.round(ms);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return assert.fail("the resolver does not pause");
  }

  /** The next request, for which the pauses between requests are passed. */
  async next(): Promise<KubeCall> {
    let call: KubeCall | undefined;
    void this.kube.next().then((arrived) => (call = arrived));
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (call !== undefined) return call;
      const ms = (this.clock.nextMs ?? Number.POSITIVE_INFINITY) - this.clock.nowMs();
      if (ms <= 1_100) this.clock.advance(ms);
    }
  }

  /** Answers the list with one slice of these hosts at version 10. @returns the watch that follows */
  async listed(...hosts: number[]): Promise<KubeCall> {
    (await this.next()).list([slice("s1", 9, hosts.map(host))], "10");
    return this.next();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort();
    await this.kube[Symbol.asyncDispose]();
  }
}

function host(last: number): object {
  return sliceEndpoint(`10.0.0.${last}`);
}

suite("a list and a watch", () => {
  test("ask for the slices of the service, the watch from the version of the list on", async () => {
    await using rig = await Rig.start();
    assert.deepEqual([rig.resolver.name, rig.resolver.authority], ["kubernetes", "users.shop.svc"]);
    const list = await rig.kube.next();
    assert.equal(list.path, "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices");
    assert.deepEqual(Object.fromEntries(list.query), { labelSelector: "kubernetes.io/service-name=users" });
    list.list([slice("s1", 9, [host(1)]), slice("s2", 9, [host(2)])], "10");
    const watch = await rig.kube.next();
    assert.equal(watch.path, list.path);
    assert.deepEqual(Object.fromEntries(watch.query), {
      labelSelector: "kubernetes.io/service-name=users",
      watch: "1",
      allowWatchBookmarks: "true",
      resourceVersion: "10",
      timeoutSeconds: "300",
    });
    assert.equal(rig.hosts, "1,2");
  });

  test("bring what is added, modified and deleted; an unknown type of event changes nothing", async () => {
    await using rig = await Rig.start();
    const watch = (await rig.listed(1)).open();
    watch.event("ADDED", slice("s2", 11, [host(2)]));
    await rig.until("1,2");
    watch.event("MODIFIED", slice("s1", 12, [host(3)]));
    await rig.until("3,2");
    watch.event("SOMETHING", slice("s1", 13, [])).event("DELETED", slice("s2", 14, []));
    await rig.until("3");
    watch.event("DELETED", slice("s1", 15, []));
    await rig.until("");
    assert.equal(rig.updates.length, 5);
    assert.deepEqual(rig.failures, []);
  });

  test("events may come split at any byte, and several together", async () => {
    await using rig = await Rig.start();
    const watch = (await rig.listed(1)).open();
    const line = (number: number, end: string) =>
      `${JSON.stringify({ type: "MODIFIED", object: slice("s1", number, [host(number)], { note: "é€😀" }) })}${end}`;
    const bytes = Buffer.from(line(11, "\r\n") + line(12, "\n\n") + line(13, "\n"));
    for (const byte of bytes) {
      watch.write(Uint8Array.of(byte));
      if (byte > 127) await new Promise((resolve) => setImmediate(resolve));
    }
    await rig.until("13");
    watch.write(line(14, "\n") + line(15, "\n"));
    await rig.until("15");
    assert.deepEqual(rig.failures, []);
  });

  test("a watch ends by chance after 240 to 360 s", async () => {
    const seconds = new Set<number>();
    await using kube = await FakeKube.start();
    const random = seeded(7);
    for (let round = 0; round < 40; round++) {
      const closed = new AbortController();
      const resolver = kubernetesResolver("users", { server: kube.url }, { random });
      resolver.watch({ update() {}, failed: (error) => assert.fail(error) }, closed.signal);
      (await kube.next()).list([], "1");
      seconds.add(Number((await kube.next()).query.get("timeoutSeconds")));
      closed.abort();
    }
    assert.ok(seconds.size > 20, `${seconds.size}`);
    for (const value of seconds) assert.ok(value >= 240 && value <= 360, `${value}`);
  });

  test("a watch that has ended goes on from its last event or bookmark, without a new list", async () => {
    await using rig = await Rig.start();
    const watch = (await rig.listed(1)).open();
    watch.event("MODIFIED", slice("s1", 11, [host(2)]));
    await rig.until("2");
    watch.event("BOOKMARK", { metadata: { resourceVersion: "40" } });
    watch.end();
    await rig.passPause();
    const second = await rig.kube.next();
    assert.deepEqual([second.isWatch, second.query.get("resourceVersion")], [true, "40"]);
    second.open().event("MODIFIED", slice("s1", 41, [host(3)]));
    await rig.until("3");
    second.destroy();
    await rig.passPause();
    const third = await rig.kube.next();
    assert.deepEqual([third.isWatch, third.query.get("resourceVersion")], [true, "41"]);
    assert.deepEqual(rig.failures, []);
  });

  test("a port that is not there is a failure with its cause; the endpoints stay", async () => {
    const rig = new Rig(await FakeKube.start(), {}, "users.shop:admin");
    await using _ = rig;
    await rig.listed(1);
    assert.equal((await rig.failure()).rawMessage, "kubernetes: users has no port admin, but grpc (42001)");
    assert.deepEqual(rig.updates, []);
  });
});

suite("K05: the watch of the API server", () => {
  for (const [name, gone] of [
    ["as an event", (watch: KubeCall) => watch.open().event("ERROR", { code: 410, reason: "Expired" })],
    ["as a status", (watch: KubeCall) => watch.reply(410, { code: 410 })],
  ] as const) {
    test(`410 ${name} lists anew, at once and without a failure`, async () => {
      await using rig = await Rig.start();
      gone(await rig.listed(1));
      assert.ok((await rig.passPause()) <= 1_100);
      const watch = await rig.listed(2);
      assert.equal(rig.hosts, "2");
      assert.equal(watch.query.get("resourceVersion"), "10");
      assert.deepEqual(rig.failures, []);
    });
  }

  test("three watches in a row that end at once list anew; never more than a request in a second", async () => {
    await using rig = await Rig.start();
    let round = 0;
    rig.kube.script = (call) => {
      if (call.isWatch) call.open().end();
      else call.list([slice("s1", 9, [host(++round)])], "10");
      return true;
    };
    const before = rig.clock.nowMs();
    while (rig.clock.nowMs() - before < 60_000) await rig.passPause();
    const order = rig.kube.calls.map(({ isWatch }) => (isWatch ? "w" : "l")).join("");
    assert.match(order, /^(?:lwww)+l?w{0,2}$/);
    assert.ok(rig.kube.calls.length <= 60, `${rig.kube.calls.length} requests in a minute`);
    // So a new endpoint is seen with every list: each 4.4 s.
    assert.ok(rig.updates.length >= 13);
    assert.deepEqual(rig.failures, []);
  });

  test("watches with events, and those that last, do not list anew", async () => {
    await using rig = await Rig.start();
    let watch = await rig.listed(1);
    for (let version = 11; version < 18; version++) {
      watch.open();
      if (version % 2 === 0) {
        watch.event("MODIFIED", slice("s1", version, [host(version)]));
        await rig.until(String(version));
      } else {
        rig.clock.advance(1_000);
      }
      watch.end();
      watch = await rig.next();
      assert.ok(watch.isWatch);
    }
  });

  test("a watch without a byte for its time and 30 s more is ended; the next one goes on", async () => {
    await using rig = await Rig.start();
    const watch = (await rig.listed(1)).open();
    watch.event("MODIFIED", slice("s1", 11, [host(2)]));
    await rig.until("2");
    rig.clock.advance(329_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(watch.isClosed, false);
    rig.clock.advance(1_000);
    const second = await rig.next();
    assert.deepEqual([second.isWatch, second.query.get("resourceVersion")], [true, "11"]);
    assert.deepEqual(rig.failures, []);
  });

  test("403 says which rights are missing, keeps the endpoints, and is asked again within 5 s", async () => {
    await using rig = await Rig.start();
    (await rig.listed(1)).reply(403, { message: "secret things" });
    const text = "kubernetes: cannot list/watch endpointslices in shop: grant get, list, watch";
    const error = await rig.failure();
    assert.equal(error.rawMessage, text);
    assert.match(String(error.cause), /secret things/);
    for (let round = 0; round < 8; round++) {
      const pauseMs = await rig.passPause();
      assert.ok(pauseMs >= 1_000 && pauseMs <= 5_000, `${pauseMs}`);
      (await rig.next()).reply(403);
      assert.equal((await rig.failure()).rawMessage, text);
    }
    await rig.passPause();
    await rig.listed(2);
    assert.equal(rig.hosts, "2");
    assert.equal(rig.updates.length, 2);
  });

  test("a token that changes is read for the next request", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-kube-"));
    try {
      const tokenFile = join(folder, "token");
      writeFileSync(tokenFile, "one\n");
      const rig = new Rig(await FakeKube.start(), { tokenFile });
      await using _ = rig;
      rig.kube.script = (call) => {
        if (call.authorization === "Bearer one") return false;
        call.list([slice("s1", 9, [host(2)])], "20");
        return true;
      };
      const list = await rig.kube.next();
      list.reply(401);
      assert.equal((await rig.failure()).rawMessage, "kubernetes: the API server does not accept the token");
      writeFileSync(tokenFile, "two\n");
      await rig.passPause();
      await rig.until("2");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a server that is overloaded is asked after the time that it says", async () => {
    await using rig = await Rig.start();
    (await rig.kube.next()).reply(429, {}, { "retry-after": "7" });
    assert.equal((await rig.failure()).rawMessage, "kubernetes: the API server answers 429");
    assert.equal(await rig.passPause(), 7_000);
    (await rig.kube.next()).reply(503, {});
    await rig.failure();
    assert.equal(await rig.passPause(), 1_600);
  });

  test("a refresh ends the pause after a failure", async () => {
    await using rig = await Rig.start();
    (await rig.kube.next()).reply(500);
    await rig.failure();
    await new Promise((resolve) => setImmediate(resolve));
    rig.resolver.refresh?.();
    (await rig.kube.next()).list([slice("s1", 9, [host(3)])], "10");
    await rig.until("3");
    assert.equal(rig.hosts, "3");
  });

  for (const [name, body] of [
    ["no JSON", "<html>"],
    ["no list", "{}"],
  ] as const) {
    test(`an answer that is ${name} is a failure`, async () => {
      await using rig = await Rig.start();
      rig.kube.script = (call) => {
        call.open().write(body).end();
        return true;
      };
      assert.equal((await rig.failure()).rawMessage, "kubernetes: the API server does not answer");
    });
  }
});

suite("how the API server is reached", () => {
  test("in a pod by its variables and files, with the certificates of the moment", async () => {
    const authority = createCertificate({ name: "kube-ca" });
    const server = createCertificate({ name: "api", hosts: ["127.0.0.1"], issuer: authority });
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-kube-"));
    const names = ["KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"] as const;
    const before = names.map((name) => process.env[name]);
    const kube = await FakeKube.start(server);
    try {
      writeFileSync(join(folder, "token"), "pod-token\n");
      writeFileSync(join(folder, "namespace"), "shop");
      writeFileSync(join(folder, "ca.crt"), createCertificate({ name: "other" }).cert);
      const { hostname, port } = new URL(kube.url);
      [process.env["KUBERNETES_SERVICE_HOST"], process.env["KUBERNETES_SERVICE_PORT"]] = [hostname, port];
      const rig = new Rig(kube, { server: undefined } as object, "users", folder);
      await using _ = rig;
      assert.equal(rig.resolver.authority, "users.shop.svc");
      const error = await rig.failure();
      assert.equal(error.rawMessage, "kubernetes: the API server does not answer");
      assert.match(String(error.cause), /certificate/);
      writeFileSync(join(folder, "ca.crt"), authority.cert);
      await rig.passPause();
      const list = await kube.next();
      assert.equal(list.authorization, "Bearer pod-token");
      assert.match(list.path, /\/namespaces\/shop\//);
    } finally {
      for (const [index, name] of names.entries()) {
        if (before[index] === undefined) delete process.env[name];
        else process.env[name] = before[index];
      }
      rmSync(folder, { recursive: true });
    }
  });

  test("a server of one's own gets neither token nor authorities of the pod", async () => {
    const folder = mkdtempSync(join(tmpdir(), "ts-ms-kube-"));
    try {
      writeFileSync(join(folder, "token"), "pod-token\n");
      const rig = new Rig(await FakeKube.start(), {}, "users", folder);
      await using _ = rig;
      const list = await rig.kube.next();
      assert.equal(list.authorization, undefined);
      assert.match(list.path, /\/namespaces\/default\//);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("outside of a pod without a server, or with one that is no URL: an error that says what to give", () => {
    const host = process.env["KUBERNETES_SERVICE_HOST"];
    delete process.env["KUBERNETES_SERVICE_HOST"];
    try {
      assert.throws(
        () => kubernetesResolver("users"),
        /runs in no pod of Kubernetes: give the option server/,
      );
    } finally {
      if (host !== undefined) process.env["KUBERNETES_SERVICE_HOST"] = host;
    }
    assert.throws(() => kubernetesResolver("users", { server: "api:1" }), /must be http:\/\/HOST:PORT/);
    assert.throws(() => kubernetesResolver("Users", { server: "http://api" }), /k8s:\/\/\/SERVICE/);
  });
});
