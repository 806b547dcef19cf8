import type { AuthBooks, AuthOutcome, KeysResult } from "../../core/security/security-parts.ts";
import type { WatchedValue } from "../../core/telemetry/metric-books.ts";
import type { Metrics } from "../../core/telemetry/metrics.ts";

/** What came of credentials and of the keys of issuers, for the metrics `ts_ms_auth_total` and `ts_ms_jwks_*`. */
export class AuthCounts implements AuthBooks {
  readonly #credentials = new Map<string, Map<AuthOutcome, number>>();
  readonly #fetches = new Map<string, Map<KeysResult, number>>();
  /** The sets in use; for a moment of a reload there are two of a provider, the newer one behind. */
  readonly #keys = new Set<{ readonly provider: string; readonly ageMs: () => number | undefined }>();

  authenticated(provider: string, outcome: AuthOutcome): void {
    count(this.#credentials, provider, outcome);
  }

  keysFetched(provider: string, result: KeysResult): void {
    count(this.#fetches, provider, result);
  }

  openKeys(provider: string, ageMs: () => number | undefined): () => void {
    const keys = { provider, ageMs };
    this.#keys.add(keys);
    return () => void this.#keys.delete(keys);
  }

  /** Adds the counts to the page. @returns functions that take them from it */
  watchedBy(metrics: Metrics): readonly (() => void)[] {
    return [
      metrics.watch("auth", () => valuesOf(this.#credentials, "outcome")),
      metrics.watch("jwksFetches", () => valuesOf(this.#fetches, "result")),
      metrics.watch("jwksAge", () => this.#ages()),
    ];
  }

  #ages(): WatchedValue[] {
    const ages = new Map<string, number>();
    for (const { provider, ageMs } of this.#keys) {
      const age = ageMs();
      if (age !== undefined) ages.set(provider, age / 1_000);
    }
    return [...ages].map(([provider, value]) => ({ labels: { provider }, value }));
  }
}

type Counts<K extends string> = Map<string, Map<K, number>>;

function count<K extends string>(counts: Counts<K>, provider: string, what: K): void {
  const known = counts.get(provider) ?? new Map<K, number>();
  counts.set(provider, known.set(what, (known.get(what) ?? 0) + 1));
}

function* valuesOf<K extends string>(
  counts: Counts<K>,
  label: "outcome" | "result",
): Generator<WatchedValue> {
  for (const [provider, known] of counts) {
    for (const [what, value] of known) yield { labels: { provider, [label]: what }, value };
  }
}
