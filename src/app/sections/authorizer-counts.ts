import type { AuthorizerBooks, AuthorizerOutcome } from "../../core/security/ext-authz/ext-authz-options.ts";
import { Durations } from "../../core/telemetry/durations.ts";
import type { Metrics } from "../../core/telemetry/metrics.ts";

/** What the answers of an authorizer have been, for the metrics `ts_ms_ext_authz_*`. */
export class AuthorizerCounts implements AuthorizerBooks {
  readonly #outcomes = new Map<AuthorizerOutcome, number>();
  readonly #durations = new Durations();
  #ignored = 0;

  asked(outcome: AuthorizerOutcome, seconds: number | undefined): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
    if (seconds !== undefined) this.#durations.observe(seconds);
  }

  ignored(): void {
    this.#ignored++;
  }

  /** Adds the counts to the page. @returns functions that take them from it */
  watchedBy(metrics: Metrics): readonly (() => void)[] {
    return [
      metrics.watch("extAuthz", () =>
        [...this.#outcomes].map(([outcome, value]) => ({ labels: { outcome }, value })),
      ),
      metrics.watch("extAuthzDuration", () => [{ labels: {}, value: this.#durations }]),
      metrics.watch("extAuthzIgnored", () => [{ labels: {}, value: this.#ignored }]),
    ];
  }
}
