import { hash } from "node:crypto";
import { refusal } from "../../admission/refusal.ts";
import { Code, type ConnectError } from "../../errors/errors.ts";
import { retryInfo } from "../../errors/retry-info.ts";
import { Pauses } from "../../time/pauses.ts";
import { AuthFailure } from "../auth-failure.ts";
import type { SecurityParts } from "../security-parts.ts";
import type { CheckedJwtOptions } from "./jwt-options.ts";
import type { KeySource } from "./key-source.ts";
import { readKeys, type VerificationKey } from "./verification-keys.ts";

/** Pauses after failures: 1 s × 2 up to a minute, or up to 5 s while there are no keys yet, ± 20 %. */
const backoff = { initialMs: 1_000, multiplier: 2, jitter: 0.2 };
const longestPauseMs = 60_000;
const longestFirstPauseMs = 5_000;

/** Keys are fetched again at this share of `refreshMs`. */
const refreshShare = 0.8;

/** Keys that fit a token without `kid` are tried one after the other, as many at most. */
const maxTried = 4;

/** How old keys may be. */
export type KeySetTimes = Pick<CheckedJwtOptions, "refreshMs" | "maxStaleMs" | "cooldownMs">;

/** Keys of a set. */
export interface FoundKeys {
  readonly keys: readonly VerificationKey[];
  /** `KeySet.version` of the set that has them. */
  readonly version: number;
}

/**
 * The keys of one issuer:
 *
 * ```
 * empty ──fetched──▶ fresh ──at 80 % of refreshMs──▶ fetching ──failed──▶ stale, keys in use ──maxStaleMs──▶ too old
 *   ▲ │                ▲                                │ fetched               │                               │
 *   └─┘ failed         └────────────────────────────────┴───────────────────────┴───────────────────────────────┘
 * ```
 *
 * One fetch at a time. What asks for an unknown key waits for the fetch that it has caused, at most one in
 * `cooldownMs`.
 */
export class KeySet {
  readonly #provider: string;
  readonly #source: KeySource;
  readonly #times: KeySetTimes;
  readonly #parts: SecurityParts;
  readonly #pauses: Pauses;
  readonly #firstPauses: Pauses;
  readonly #closed = new AbortController();
  readonly #uncount: (() => void) | undefined;
  #keys: readonly VerificationKey[] = [];
  /** Digest of the set in use; undefined while there is none. */
  #digest: string | undefined;
  #version = 0;
  #loadedAtMs = Number.NEGATIVE_INFINITY;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #nextAtMs = 0;
  #fetching: Promise<void> | undefined;
  #cancel = (): void => {};

  constructor(provider: string, source: KeySource, times: KeySetTimes, parts: SecurityParts) {
    this.#provider = provider;
    this.#source = source;
    this.#times = times;
    this.#parts = parts;
    this.#pauses = new Pauses({ ...backoff, maxMs: longestPauseMs }, parts.random);
    this.#firstPauses = new Pauses({ ...backoff, maxMs: longestFirstPauseMs }, parts.random);
    this.#uncount = parts.books?.openKeys(provider, () => this.#ageMs());
    void this.#fetch();
  }

  /** Grows with each other set: what was verified by an earlier one is verified again. */
  get version(): number {
    return this.#version;
  }

  /**
   * The keys that a token may be signed with.
   *
   * @param kid the key that it names; undefined for none
   * @throws AuthFailure if there are none, after a fetch where one may be made
   * @throws ConnectError UNAVAILABLE while no keys are known, or they are too old
   */
  async find(kid: string | undefined, alg: string): Promise<FoundKeys> {
    if (!this.#isUsable && this.#fetching !== undefined) await this.#fetching;
    if (!this.#isUsable) throw this.#unavailable();
    const found = this.#fitting(kid, alg);
    if (found.length > 0) return { keys: found, version: this.#version };
    if (this.#mayAsk()) await this.#fetch();
    const late = this.#fitting(kid, alg);
    if (late.length === 0) {
      throw new AuthFailure(
        "TOKEN_UNKNOWN_KEY",
        "the token is signed by a key that the issuer does not publish",
      );
    }
    return { keys: late, version: this.#version };
  }

  /** Resolves when no fetch is under way. */
  async settled(): Promise<void> {
    await this.#fetching;
  }

  /** Fetches the keys now: their source has changed. */
  refresh(): void {
    void this.#fetch();
  }

  close(): void {
    this.#closed.abort();
    this.#cancel();
    this.#uncount?.();
  }

  get #isUsable(): boolean {
    const ageMs = this.#ageMs();
    return ageMs !== undefined && ageMs <= this.#times.maxStaleMs;
  }

  #ageMs(): number | undefined {
    return this.#digest === undefined ? undefined : this.#parts.clock.nowMs() - this.#loadedAtMs;
  }

  #fitting(kid: string | undefined, alg: string): VerificationKey[] {
    const fitting = this.#keys.filter(
      (key) => key.algorithms.includes(alg) && (kid === undefined || key.kid === kid),
    );
    return fitting.slice(0, maxTried);
  }

  /** Whether a key that is not known may cause a fetch now, or join the one under way. */
  #mayAsk(): boolean {
    if (this.#fetching !== undefined) return true;
    const nowMs = this.#parts.clock.nowMs();
    if (nowMs - this.#askedAtMs < this.#times.cooldownMs) return false;
    this.#askedAtMs = nowMs;
    return true;
  }

  #fetch(): Promise<void> {
    return (this.#fetching ??= this.#fetchNow().finally(() => {
      this.#fetching = undefined;
    }));
  }

  async #fetchNow(): Promise<void> {
    this.#cancel();
    const { clock, logger, books } = this.#parts;
    let waitMs: number;
    try {
      const isOther = this.#use(await this.#source(this.#closed.signal));
      books?.keysFetched(this.#provider, isOther ? "changed" : "same");
      this.#loadedAtMs = clock.nowMs();
      this.#pauses.reset();
      waitMs = this.#times.refreshMs * refreshShare;
    } catch (error) {
      if (this.#closed.signal.aborted) return;
      books?.keysFetched(this.#provider, "failed");
      waitMs = (this.#digest === undefined ? this.#firstPauses : this.#pauses).nextMs();
      const consequence =
        this.#digest === undefined ? "its tokens are answered 503" : "the known ones count on";
      const fields = { err: error, provider: this.#provider, retryInMs: Math.round(waitMs) };
      logger?.warn(fields, `the keys of a token issuer cannot be fetched; ${consequence}`);
    }
    this.#nextAtMs = clock.nowMs() + waitMs;
    if (!this.#closed.signal.aborted) this.#cancel = clock.after(waitMs, () => void this.#fetch(), false);
  }

  /** Takes a set into use. @returns whether it is another one than before */
  #use(set: unknown): boolean {
    const digest = hash("sha256", JSON.stringify(set), "base64url");
    if (digest === this.#digest) return false;
    const { keys, skipped } = readKeys(set);
    if (skipped.length > 0) {
      const fields = { provider: this.#provider, skipped: [...new Set(skipped)] };
      this.#parts.logger?.warn(fields, "some keys of a token issuer cannot verify tokens and are not used");
    }
    this.#keys = keys;
    this.#digest = digest;
    this.#version++;
    return true;
  }

  #unavailable(): ConnectError {
    return refusal({
      kind: "unauthenticated",
      code: Code.Unavailable,
      reason: "KEYS_UNAVAILABLE",
      message: "the keys of the token's issuer cannot be fetched now; try again later",
      details: [retryInfo(this.#nextAtMs - this.#parts.clock.nowMs())],
    });
  }
}
