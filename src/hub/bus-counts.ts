import { Durations } from "../core/telemetry/durations.ts";
import type { BusOperation } from "./bus/bus.ts";
import type { MetricsPage } from "./connections/statistics.ts";

/** Counts what the bus of a hub does, and what it has missed. */
export class BusCounts {
  isUp = true;
  readonly #bus: string;
  readonly #nodes: () => number;
  readonly #broken: () => number;
  readonly #gaps = new Map<string, { filled: number; lost: number }>();
  readonly #took = new Map<BusOperation, Durations>();
  readonly #errors = new Map<BusOperation, number>();

  /**
   * @param bus its name
   * @param nodes tells how many live
   * @param broken tells how many frames could not be read
   */
  constructor(bus: string, nodes: () => number, broken: () => number) {
    this.#bus = bus;
    this.#nodes = nodes;
    this.#broken = broken;
  }

  /** Publications that were missing. */
  get gaps(): number {
    return [...this.#gaps.values()].reduce((sum, { filled, lost }) => sum + filled + lost, 0);
  }

  gap(room: string, outcome: "filled" | "lost"): void {
    const topic = room.split("/", 1)[0] ?? "";
    const counts = this.#gaps.get(topic) ?? { filled: 0, lost: 0 };
    this.#gaps.set(topic, counts);
    counts[outcome]++;
  }

  /** @param ms undefined for what has failed */
  did(operation: BusOperation, ms: number | undefined): void {
    if (ms === undefined) {
      this.#errors.set(operation, (this.#errors.get(operation) ?? 0) + 1);
      return;
    }
    const durations = this.#took.get(operation) ?? new Durations();
    this.#took.set(operation, durations);
    durations.observe(ms / 1_000);
  }

  /** Adds what is counted to a page of metrics. @returns functions that take it from there */
  watch(metrics: MetricsPage): (() => void)[] {
    const bus = this.#bus;
    return [
      metrics.watch("hubGaps", () =>
        [...this.#gaps].flatMap(([topic, counts]) =>
          Object.entries(counts).map(([outcome, value]) => ({ labels: { topic, outcome }, value })),
        ),
      ),
      metrics.watch("hubNodes", () => [{ labels: {}, value: this.#nodes() }]),
      metrics.watch("hubBusUp", () => [{ labels: { bus }, value: this.isUp ? 1 : 0 }]),
      metrics.watch("hubBusSeconds", () =>
        [...this.#took].map(([op, value]) => ({ labels: { bus, op }, value })),
      ),
      metrics.watch("hubBusErrors", () => {
        const errors = new Map(this.#errors);
        errors.set("frame", (errors.get("frame") ?? 0) + this.#broken());
        return [...errors].map(([op, value]) => ({ labels: { bus, op }, value }));
      }),
    ];
  }
}
