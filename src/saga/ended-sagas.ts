import type { Clock } from "../core/time/clock.ts";
import type { Engine } from "./dbos-engine.ts";
import type { SagaRows } from "./saga-rows.ts";

/** What forgets sagas. */
export interface EndedParts {
  readonly rows: Pick<SagaRows, "endedBefore" | "forget">;
  readonly engine: Pick<Engine, "forget">;
  readonly clock: Clock;
  readonly epochMs: () => number;
  /** How long a saga is known after its end, in milliseconds; 0: for ever. */
  readonly retentionMs: number;
}

/** Sagas that are forgotten by one statement. */
const forgetBatch = 1_000;
/** How often it is looked for some, in milliseconds, once there are none. */
const lookMs = 60_000;

/** Forgets sagas some time after their end, so that their tables do not grow for ever. */
export class EndedSagas {
  readonly #parts: EndedParts;
  #nextMs = -Infinity;

  constructor(parts: EndedParts) {
    this.#parts = parts;
  }

  /** Forgets some of those whose time is over; to be called again and again, by one process at a time. */
  async sweep(): Promise<void> {
    const { rows, engine, clock, epochMs, retentionMs } = this.#parts;
    if (retentionMs === 0 || clock.nowMs() < this.#nextMs) return;
    this.#nextMs = clock.nowMs() + lookMs; // Also for one that fails.
    const ids = await rows.endedBefore(epochMs() - retentionMs, forgetBatch);
    if (ids.length > 0) {
      await engine.forget(ids); // First: what no row names would stay for ever.
      await rows.forget(ids);
    }
    if (ids.length === forgetBatch) this.#nextMs = -Infinity;
  }
}
