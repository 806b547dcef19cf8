import type { Clock } from "../time/clock.ts";
import type { MetricsPages } from "../telemetry/exporter.ts";
import { metricList, type MetricDefinition } from "../telemetry/metric-list.ts";
import {
  openMetricsPage,
  prometheusPage,
  type MetricValue,
  type MetricValues,
} from "../telemetry/open-metrics.ts";
import type { AcceptedSocket, LiveWorker } from "./live-worker.ts";
import type { HandOver } from "./hand-over.ts";
import { MergedMetrics } from "./merged-metrics.ts";
import type { WorkerPool } from "./worker-pool.ts";

/** How long a page waits for what workers say now, in milliseconds. */
const patienceMs = 500;

/** The page of metrics of all workers, with what the primary has counted itself. */
export class PrimaryMetrics implements MetricsPages {
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  readonly openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
  readonly #pool: WorkerPool;
  readonly #handOver: HandOver<AcceptedSocket>;
  readonly #clock: Clock;
  readonly #merged = new MergedMetrics();
  /** When each worker has said something last. */
  readonly #heardMs = new Map<LiveWorker, number>();
  readonly #sending = new Set<LiveWorker>();
  readonly #droppedPosts = new Map<LiveWorker, number>();
  readonly #droppedHere: () => number;
  #droppedByGone = 0;
  #asked: { readonly missing: Set<LiveWorker>; readonly done: () => void } | undefined;
  #reading: Promise<void> | undefined;

  /** @param dropped messages between workers that the primary has dropped */
  constructor(pool: WorkerPool, handOver: HandOver<AcceptedSocket>, clock: Clock, dropped: () => number) {
    this.#pool = pool;
    this.#handOver = handOver;
    this.#clock = clock;
    this.#droppedHere = dropped;
  }

  /** A worker has metrics, which it sends from now on. */
  expect(worker: LiveWorker): void {
    this.#sending.add(worker);
  }

  /** A worker has sent its metrics. */
  heard(worker: LiveWorker, metrics: readonly MetricValues[], droppedPosts: number): void {
    this.#merged.update(worker, worker.place, metrics);
    this.#heardMs.set(worker, this.#clock.nowMs());
    this.#droppedPosts.set(worker, droppedPosts);
    this.#answered(worker);
  }

  /** A worker has ended. */
  ended(worker: LiveWorker): void {
    this.#merged.ended(worker);
    this.#heardMs.delete(worker);
    this.#sending.delete(worker);
    this.#droppedByGone += this.#droppedPosts.get(worker) ?? 0;
    this.#droppedPosts.delete(worker);
    this.#answered(worker);
  }

  async page(): Promise<string> {
    return prometheusPage(await this.values());
  }

  async openMetricsPage(): Promise<string> {
    return openMetricsPage(await this.values(), true);
  }

  async values(): Promise<readonly MetricValues[]> {
    await (this.#reading ??= this.#ask().finally(() => (this.#reading = undefined)));
    return this.#merged.values(this.#own());
  }

  /** Resolves when all workers have said what they have now, or patience is at its end. */
  #ask(): Promise<void> {
    const workers = [...this.#sending];
    if (workers.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.#clock.after(patienceMs, () => done(), false);
      const done = (): void => {
        cancel();
        this.#asked = undefined;
        resolve();
      };
      this.#asked = { missing: new Set(workers), done };
      for (const worker of workers) worker.say({ kind: "report" });
    });
  }

  #answered(worker: LiveWorker): void {
    if (this.#asked?.missing.delete(worker) === true && this.#asked.missing.size === 0) this.#asked.done();
  }

  #own(): readonly MetricValues[] {
    const workers = [...this.#pool.all];
    const states = new Map([
      ["starting", 0],
      ["serving", 0],
      ["leaving", 0],
    ]);
    for (const { stage } of workers) states.set(stage, (states.get(stage) ?? 0) + 1);
    const nowMs = this.#clock.nowMs();
    const dropped = [...this.#droppedPosts.values()].reduce((sum, count) => sum + count, this.#droppedByGone);
    const connections = new Map<string, number>();
    for (const worker of workers) {
      const place = String(worker.place);
      connections.set(place, (connections.get(place) ?? 0) + this.#handOver.openAt(worker));
    }
    const ages = new Map([...this.#heardMs].map(([{ place }, ms]) => [String(place), (nowMs - ms) / 1_000]));
    return [
      metric(metricList.workers, labelled("state", states)),
      metric(metricList.workerRestarts, labelled("cause", new Map(Object.entries(this.#pool.restarts)))),
      metric(metricList.workerConnections, labelled("worker", connections)),
      metric(
        metricList.workerHandedOver,
        labelled("outcome", new Map(Object.entries(this.#handOver.counts))),
      ),
      metric(metricList.workerSnapshotAge, labelled("worker", ages)),
      metric(metricList.workerPostsDropped, [{ labels: {}, value: dropped + this.#droppedHere() }]),
    ];
  }
}

function metric({ name, help, type }: MetricDefinition, values: readonly MetricValue[]): MetricValues {
  return { name, help, type, values };
}

function labelled(label: string, counts: ReadonlyMap<string, number>): readonly MetricValue[] {
  return [...counts].map(([name, value]) => ({ labels: { [label]: name }, value }));
}
