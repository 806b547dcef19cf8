import assert from "node:assert/strict";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import type { startKept } from "./kept-rooms.ts";

type Node = Pick<Awaited<ReturnType<typeof startKept>>, "hub">;

/** All series of a hub, by name and labels; they are gone from the page when the watch has ended. */
async function seriesOf({ hub }: Node): Promise<Record<string, number>> {
  const metrics = new Metrics();
  const end = hub.watch(metrics);
  const page = await metrics.page();
  end();
  assert.doesNotMatch(await metrics.page(), /^ts_ms_hub_\w+\{/m);
  const lines = page.matchAll(/^ts_ms_hub_(\w+(?:\{.*\})?) (\S+)$/gm);
  return Object.fromEntries([...lines].map(([, name = "", value]) => [name, Number(value)]));
}

/** The series of these metrics, those at 0 left out. */
export async function someSeries(node: Node, ...names: readonly string[]): Promise<Record<string, number>> {
  const wanted = ([name, value]: [string, number]): boolean =>
    value !== 0 && names.some((prefix) => name === prefix || name.startsWith(`${prefix}{`));
  return Object.fromEntries(Object.entries(await seriesOf(node)).filter(wanted));
}
