import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { dial, type DialedTransport } from "../../../src/core/dial.ts";
import { trafficBooks } from "../../../src/core/traffic/traffic-books.ts";
import { Echo } from "../../support/echo-service.ts";

/** An upstream with its transport. */
export interface Upstream {
  readonly echo: Echo;
  readonly server: GrpcServer;
  readonly transport: DialedTransport;
  readonly address: string;
}

/**
 * Starts servers, and dials them by their sockets or in process; all ends with the test.
 *
 * @param prepare changes a service before it is registered
 */
export async function upstreams(
  t: TestContext,
  count: number,
  network = true,
  prepare: (echo: Echo) => void = () => {},
): Promise<readonly Upstream[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const echo = new Echo();
      prepare(echo);
      const server = new GrpcServer({ port: 0, logger: false }).addService(echo);
      await server.start();
      const address = `127.0.0.1:${server.address?.port}`;
      const transport = network ? dial(address) : dial(server);
      t.after(async () => {
        transport.close();
        await server.gracefulStop({ graceMs: 0 });
      });
      return { echo, server, transport, address };
    }),
  );
}

/** How many calls each upstream has had. */
export function callsOf(all: readonly Upstream[]): number[] {
  return all.map(({ echo }) => echo.calls);
}

/** Counts of a metric with these values of labels, by the last label. */
export function counts(metric: keyof typeof trafficBooks, first: string): Record<string, number> {
  const found = trafficBooks[metric].all.filter(({ labels }) => Object.values(labels)[0] === first);
  return Object.fromEntries(
    found.map(({ labels, count }) => [Object.values(labels).slice(1).join(" "), count]),
  );
}

/** Waits until `fact` holds, which some event of the loop makes true. */
export async function eventually(fact: () => boolean): Promise<void> {
  const began = performance.now();
  while (!fact()) {
    assert.ok(performance.now() - began < 10_000, `within 10 s: ${String(fact)}`);
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Numbers that a test gives in place of chance, one after the other, again and again. */
export function numbers(...all: readonly number[]): () => number {
  let next = 0;
  return () => all[next++ % all.length] ?? 0;
}
