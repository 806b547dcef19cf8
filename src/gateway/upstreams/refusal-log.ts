import type { RefusedService } from "./service-owners.ts";

/** The services of upstreams that are left out now: each is logged and counted once, until it is served in between. */
export class RefusalLog {
  readonly #warn: (fields: Readonly<Record<string, unknown>>, text: string) => void;
  readonly #reported = new Set<string>();
  #present: readonly RefusedService[] = [];

  constructor(warn: (fields: Readonly<Record<string, unknown>>, text: string) => void) {
    this.#warn = warn;
  }

  /** Those of the last report. */
  get present(): readonly RefusedService[] {
    return this.#present;
  }

  /** @param refused all that are left out now */
  report(refused: readonly RefusedService[]): void {
    this.#present = refused;
    const keys = new Set<string>();
    for (const { upstream, service, reason, text } of refused) {
      const key = `${upstream}\n${service}\n${reason}`;
      keys.add(key);
      if (this.#reported.has(key)) continue;
      this.#reported.add(key);
      this.#warn({ upstream, service, reason }, text);
      void import("../../core/telemetry/client-books.ts").then(({ clientCounts }) =>
        clientCounts.refused(upstream, reason),
      );
    }
    for (const key of this.#reported) if (!keys.has(key)) this.#reported.delete(key);
  }
}
