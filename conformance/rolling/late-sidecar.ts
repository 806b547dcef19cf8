import { strict as assert } from "node:assert";
import { setTimeout as delay } from "node:timers/promises";
import { GrpcServer } from "../../src/index.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { Program } from "../../test/support/program.ts";
import { freePort } from "../listening.ts";
import { addressOf, Envoy, extension } from "../mesh/envoy.ts";
import { appCluster } from "../mesh/inbound.ts";
import type { Checks } from "../suite.ts";

/** How much later the sidecar starts, and how much earlier it ends, in milliseconds. */
const apartMs = 5_000;
/** Longest time of a call while it is away, in milliseconds. */
const awayMs = 50;

/** A gateway whose sidecar is not there yet, and not there any more. */
export async function lateSidecar(checks: Checks): Promise<void> {
  await using library = new GrpcServer({ port: 0 }).addService(new LibraryService());
  await library.start();
  const port = await freePort();
  await using gateway = new Program(
    "examples/http-only.ts",
    ...["--http-port=0", "--exporter-port=off", "--log-level=fatal"],
    ...[`--upstream=library=127.0.0.1:${port}`, `--drain-delay=${apartMs}ms`],
  );
  const url = `http://${await gateway.address("HTTP")}/v1/shelves`;
  await checks.check(`E20: without its sidecar calls are UNAVAILABLE within ${awayMs} ms`, async () => {
    const tookMs: number[] = [];
    for (const end = performance.now() + apartMs; performance.now() < end; await delay(100)) {
      const startedMs = performance.now();
      const response = await fetch(url);
      const { code } = (await response.json()) as { code: number }; // By the form of errors.
      tookMs.push(performance.now() - startedMs);
      assert.deepEqual([response.status, code], [503, 14]);
    }
    const median = tookMs.toSorted((one, other) => one - other)[tookMs.length >> 1] ?? 0;
    // The machine has other work; calls that wait for a connection would all be late.
    assert.ok(median < awayMs, `${median} ms`);
  });
  const envoy = await sidecar(port, library.address?.port ?? 0);
  try {
    await checks.check("E20: with its sidecar calls are served", async () => {
      const startedMs = performance.now();
      while ((await fetch(url)).status !== 200) {
        assert.ok(performance.now() - startedMs < 10_000);
        await delay(50);
      }
    });
  } finally {
    const ended = gateway.stop();
    await envoy[Symbol.asyncDispose]();
    await checks.check("E20: its sidecar ends before it, and it ends well", async () => {
      const startedMs = performance.now();
      const { status } = await fetch(url);
      assert.equal(status, 503);
      const { code } = await ended;
      assert.equal(code, 0);
      assert.ok(performance.now() - startedMs > apartMs - 1_000);
    });
  }
}

function sidecar(port: number, app: number): Promise<Envoy> {
  const manager = {
    "@type": extension("filters.network.http_connection_manager.v3.HttpConnectionManager"),
    stat_prefix: "sidecar",
    route_config: {
      virtual_hosts: [
        { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: "library" } }] },
      ],
    },
    http_filters: [
      {
        name: "envoy.filters.http.router",
        typed_config: { "@type": extension("filters.http.router.v3.Router") },
      },
    ],
  };
  return Envoy.start([port], () => ({
    listeners: [
      {
        name: "sidecar",
        address: addressOf(port),
        filter_chains: [{ filters: [{ name: "http", typed_config: manager }] }],
      },
    ],
    clusters: [appCluster({ name: "library", app, isHttp2: true })],
  }));
}
