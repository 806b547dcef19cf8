import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";
import { Code, ConnectError, createClient, dial, type Client } from "../../src/index.ts";
import { parse } from "yaml";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Checks } from "../suite.ts";
import { codeIs } from "./access.ts";
import type { LibraryPod } from "./library-pod.ts";
import type { Mesh } from "./topology.ts";

type Library = Client<typeof LibraryService>;

/** Calls whose split is measured, and how far it may be off, in percent of all. */
const splitCalls = 10_000;
const splitLimit = 2;

/** What the routes were made of. */
interface Traffic {
  readonly canary: { readonly weight: number; readonly header: string };
  readonly mirror: number;
  readonly faults: { readonly header: string };
  readonly retries: { readonly attempts: number };
}

/** Where calls go, how often, and what happens when pods fail. */
export async function traffic(checks: Checks, mesh: Mesh): Promise<void> {
  const file = join(import.meta.dirname, "../../deploy/kubernetes/traffic.yaml");
  const { canary, mirror, faults, retries } = parse(readFileSync(file, "utf8")) as Traffic; // The file is ours.
  const all = [...mesh.stable, mesh.canary];
  const clear = (): void => all.forEach((pod) => pod.clear());
  await using transport = dial(mesh.outbound);
  const client = createClient(LibraryService, transport);

  await checks.check(
    `the canary gets ${canary.weight} % of ${splitCalls} calls, within ${splitLimit}`,
    async () => {
      clear();
      await calls(splitCalls, () => client.createShelf({}));
      const percent = (100 * mesh.canary.calls.length) / splitCalls;
      assert.ok(Math.abs(percent - canary.weight) <= splitLimit, `${percent} %`);
      clear();
      await calls(50, () => client.createShelf({}, { headers: { [canary.header]: "true" } }));
      assert.equal(mesh.canary.calls.length, 50);
    },
  );
  await checks.check("a mirrored call has one reply, of the pod that it was routed to", () =>
    mirrored(mesh, client, mirror),
  );
  await checks.check("faults come only to calls with their header", async () => {
    clear();
    const abort = { headers: { [faults.header]: "abort" } };
    await assert.rejects(client.listShelves({}, abort), codeIs(Code.Unavailable));
    assert.equal(all.flatMap((pod) => pod.calls).length, 0);
    const startedMs = performance.now();
    await client.createShelf({}, { headers: { [faults.header]: "delay" } });
    assert.ok(performance.now() - startedMs > 1_900);
    await client.createShelf({}, { headers: { [faults.header]: "other" } });
  });
  await checks.check(
    "what has no side effects is sent again, to other pods; what may have some is sent once",
    async () => {
      for (const pod of all) pod.fails = true;
      clear();
      await assert.rejects(client.createShelf({}), codeIs(Code.Unavailable));
      assert.equal(all.flatMap((pod) => pod.calls).length, 1);
      clear();
      // Not to the canary, of which there is one.
      while (mesh.stable.every((pod) => pod.calls.length === 0)) {
        clear();
        await assert.rejects(client.listShelves({}), codeIs(Code.Unavailable));
      }
      assert.deepEqual(
        mesh.stable.map((pod) => pod.calls.length),
        Array(retries.attempts + 1).fill(1),
      );
      for (const pod of all) pod.fails = false;
      assert.equal((await client.listShelves({})).shelves.length, 1);
    },
  );
  await checks.check("one call more than the limit is refused at once", () => overflow(mesh));
  await checks.check("a pod that fails five times is left out within 10 s, and is back after its time", () =>
    ejected(mesh, client),
  );
}

/** Makes calls, 50 at a time. */
async function calls(count: number, call: () => Promise<unknown>): Promise<void> {
  let left = count;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: 50 }, lane));
}

async function mirrored(mesh: Mesh, client: Library, percentage: number): Promise<void> {
  const count = 5_000;
  const before = shadows(mesh);
  const replies: string[] = [];
  for (const pod of [...mesh.stable, mesh.canary]) pod.clear();
  await calls(count, async () => {
    const { shelves } = await client.listShelves({});
    replies.push(...shelves.map(({ theme }) => theme));
  });
  assert.equal(replies.length, count);
  for (let attempt = 0; attempt < 20 && shadows(mesh) === before; attempt++) await delay(100);
  await delay(200);
  const copies = shadows(mesh) - before;
  assert.ok(Math.abs((100 * copies) / count - percentage) < 0.7, `${copies} copies of ${count}`);
  // Each copy was answered by the canary, and its reply dropped.
  const fromCanary = replies.filter((name) => name === "canary").length;
  assert.equal(mesh.canary.calls.length - copies, fromCanary);
}

/** How many copies the canary got: Envoy marks them in `:authority`. */
function shadows(mesh: Mesh): number {
  return mesh.canaryLog().filter((authority) => authority.split(":")[0]?.endsWith("-shadow")).length;
}

async function overflow(mesh: Mesh): Promise<void> {
  const { http } =
    mesh.manifests.named("DestinationRule", "library")?.spec.trafficPolicy.connectionPool ?? assert.fail();
  const limit = http.http2MaxRequests;
  const gate = Promise.withResolvers<void>();
  for (const pod of mesh.stable) pod.gate = gate.promise;
  for (const pod of mesh.stable) pod.clear();
  const transports = Array.from({ length: 12 }, () => dial(mesh.outbound));
  const outcomes: string[] = [];
  const call = async (client: Library): Promise<void> => {
    await client.createShelf({}).then(
      ({ shelf }) => outcomes.push(shelf?.theme ?? ""),
      (error: unknown) => outcomes.push(Code[ConnectError.from(error).code]),
    );
  };
  try {
    const clients = transports.map((transport) => createClient(LibraryService, transport));
    const waiting = Array.from({ length: limit + 200 }, (_, index) =>
      call(clients[index % 12] ?? assert.fail()),
    );
    const refused = (): number => outcomes.filter((one) => one === "Unavailable").length;
    const held = (): number => mesh.stable.reduce((sum, pod) => sum + pod.calls.length, 0);
    // Some went to the canary, which answers.
    for (let attempt = 0; attempt < 300 && outcomes.length + limit < waiting.length; attempt++)
      await delay(100);
    assert.equal(held(), limit);
    assert.ok(refused() > 0, outcomes.join().slice(0, 200));
    gate.resolve();
    await Promise.all(waiting);
    assert.equal(outcomes.length, limit + 200);
  } finally {
    gate.resolve();
    for (const pod of mesh.stable) pod.gate = undefined;
    for (const transport of transports) transport.close();
  }
}

async function ejected(mesh: Mesh, client: Library): Promise<void> {
  const { outlierDetection } =
    mesh.manifests.named("DestinationRule", "library")?.spec.trafficPolicy ?? assert.fail();
  const [bad, ...good] = mesh.stable as readonly [LibraryPod, ...LibraryPod[]]; // Three were started.
  const outMs = 1_000 * parseFloat(outlierDetection.baseEjectionTime);
  const checkMs = 1_000 * parseFloat(outlierDetection.interval);
  for (const pod of mesh.stable) pod.clear();
  bad.fails = true;
  const startedMs = performance.now();
  const isUsed = async (): Promise<boolean> => {
    const before = bad.calls.length;
    await calls(60, () => client.createShelf({}).catch(() => {}));
    return bad.calls.length > before;
  };
  while (await isUsed()) assert.ok(performance.now() - startedMs < 10_000, "it is in use after 10 s");
  const failedFirst = bad.calls.length;
  assert.ok(failedFirst >= outlierDetection.consecutiveGatewayErrors, `${failedFirst}`);
  assert.ok(good.every((pod) => pod.calls.length > 0));
  bad.fails = false;
  const leftMs = performance.now();
  while (!(await isUsed())) {
    assert.ok(performance.now() - leftMs < outMs + 2 * checkMs + 5_000, "it does not come back");
    await delay(250);
  }
  const awayMs = performance.now() - leftMs;
  // The earlier proof may have left it out once already, which makes it longer.
  assert.ok(awayMs > outMs - 5_000, `${awayMs} ms`);
}
