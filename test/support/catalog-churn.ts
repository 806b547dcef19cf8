import assert from "node:assert/strict";
import { Agent, get } from "node:http";
import type { TestContext } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { service as serviceOf } from "../../src/core/call/service.ts";
import type { Catalog, CatalogEntry, CatalogListener } from "../../src/core/discovery/catalog.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { Upstreams } from "../../src/gateway/upstreams/upstreams.ts";
import { madeContract } from "./made-contracts.ts";

/** What a run of a changing catalog is made of. */
export interface ChurnOptions {
  /** How many upstreams the catalog has. */
  readonly upstreams: number;
  /** How many of them are other ones in each round. */
  readonly changes: number;
  readonly rounds: number;
  /** Time between rounds, in milliseconds. */
  readonly pauseMs: number;
  /** How many callers call upstreams that stay, one call after the other, with pauses. */
  readonly callers: number;
}

/** What was measured. */
export interface Churn {
  /** Durations of calls to upstreams that stay, in milliseconds: while nothing changes, and while others do. */
  readonly calmMs: readonly number[];
  readonly busyMs: readonly number[];
  /** Answers other than 200 to those calls. */
  readonly failures: readonly string[];
  /** The longest time until an upstream of a round was served, in milliseconds. */
  readonly servedMs: number;
}

/** The value below which that share of `values` is. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/**
 * Runs a gateway with a catalog of which some upstreams change in every round: half of them are replaced by new ones,
 * half are at another server.
 */
export async function churn(t: TestContext, options: ChurnOptions): Promise<Churn> {
  const [one, two] = [await emptyServer(t), await emptyServer(t)];
  const contracts = new Map<string, DescService>();
  const contractOf = (name: string): DescService => {
    let service = contracts.get(name);
    if (service !== undefined) return service;
    service = madeContract(name).service;
    contracts.set(name, service);
    const implementation = { get0: ({ name: asked }: { name: string }) => ({ name: asked, text: name }) };
    for (const server of [one, two])
      server.addService(serviceOf<DescService>(service, implementation as object));
    return service;
  };
  const addressOf = ({ address }: GrpcServer): string => `127.0.0.1:${address?.port}`;
  const entryOf = (name: string, server = one): CatalogEntry => ({
    name,
    target: addressOf(server),
    services: [contractOf(name)],
  });
  let listener: CatalogListener | undefined;
  const catalog: Catalog = { name: "churn", watch: (given) => void (listener = given) };
  const upstreams = new Upstreams({}, { catalog, staleMs: 1_000, logger: false });
  const http = new HttpServer({ port: 0, upstream: upstreams, awaitServices: true, logger: false });
  const served = upstreams.serve(http);
  await http.start();
  const agent = new Agent({ keepAlive: true });
  t.after(async () => {
    agent.destroy();
    await http.gracefulStop({ graceMs: 0 });
    await served;
  });
  const port = http.address?.port ?? 0;
  const status = (name: string): Promise<number> =>
    new Promise((resolve, reject) => {
      get({ port, host: "127.0.0.1", path: `/${name}/get0/a`, agent }, (response) => {
        response.resume().once("end", () => resolve(response.statusCode ?? 0));
      }).once("error", reject);
    });
  const until = async (name: string, wanted: number, withinMs: number): Promise<number> => {
    const startedMs = performance.now();
    while ((await status(name)) !== wanted) {
      assert.ok(performance.now() - startedMs < withinMs, `${name} is not ${wanted} after ${withinMs} ms`);
      await wait(100);
    }
    return performance.now() - startedMs;
  };

  const entries = new Map<string, CatalogEntry>();
  const all = options.upstreams + options.rounds * options.changes;
  for (let index = 0; index < all; index++) {
    const entry = entryOf(`churn.v${index}`); // The making of contracts is no part of what is measured.
    if (index < options.upstreams) entries.set(entry.name, entry);
    if (index % 20 === 19) await wait(0);
  }
  listener?.update([...entries.values()]);
  await until(`churn.v${options.upstreams - 1}`, 200, 60_000);

  const stable = Array.from({ length: Math.min(20, options.upstreams / 2) }, (_, index) => `churn.v${index}`);
  const failures: string[] = [];
  let durations: number[] = [];
  let isOver = false;
  const callers = Array.from({ length: options.callers }, async (_, caller) => {
    for (let turn = caller; !isOver; turn++) {
      const name = stable[turn % stable.length] ?? "";
      const startedMs = performance.now();
      const found = await status(name);
      durations.push(performance.now() - startedMs);
      if (found !== 200) failures.push(`${name}: ${found}`);
      await wait(10);
    }
  });
  for (const name of stable) await status(name);
  durations = [];
  await wait(Math.max(500, (options.rounds * options.pauseMs) / 2));
  const calmMs = durations;
  durations = [];
  let servedMs = 0;
  let made = options.upstreams;
  const checks: Promise<void>[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const changing = [...entries.keys()].slice(stable.length).slice(0, options.changes);
    for (const [place, name] of changing.entries()) {
      entries.delete(name); // What has changed comes last, so that the next round changes others.
      if (place % 2 === 0) entries.set(name, entryOf(name, two));
      else {
        const added = `churn.v${made++}`;
        entries.set(added, entryOf(added));
        checks.push(until(added, 200, 5_000).then((ms) => void (servedMs = Math.max(servedMs, ms))));
      }
    }
    listener?.update([...entries.values()]);
    await wait(options.pauseMs);
  }
  await Promise.all(checks);
  const busyMs = durations;
  isOver = true;
  await Promise.all(callers);
  const [gone] = [...contracts.keys()].filter((name) => !entries.has(name));
  if (gone !== undefined) await until(gone, 404, 10_000);
  return { calmMs, busyMs, failures, servedMs };
}

async function emptyServer(t: TestContext): Promise<GrpcServer> {
  const server = new GrpcServer({ port: 0, logger: false });
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return server;
}
