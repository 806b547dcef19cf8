import type { RetryAllowance } from "./retry-budget.ts";

/** gRPC's throttling of retries (gRFC A6). */
export interface RetryTokensOptions {
  /** Tokens at the begin, 1 to 1,000. Further attempts need more than half of them. */
  readonly maxTokens: number;
  /** Tokens that a call gives back which ends well, above 0. */
  readonly tokenRatio: number;
}

/**
 * A count of tokens for the calls of one target: each failed attempt takes one, each good one gives a part back. It takes
 * the place of the budget where a service config of gRPC has `retryThrottling`.
 */
export class RetryTokens implements RetryAllowance {
  readonly #options: RetryTokensOptions;
  /** In thousandths, so that sums stay exact. */
  #tokens: number;

  constructor(options: RetryTokensOptions) {
    this.#options = options;
    this.#tokens = options.maxTokens * 1_000;
  }

  /** Tokens left. */
  get tokens(): number {
    return this.#tokens / 1_000;
  }

  began(): void {}

  /** Whether a further attempt may be made now; nothing is taken by it. */
  take(): boolean {
    return this.left() > 0;
  }

  /** Tokens above the half. */
  left(): number {
    return this.tokens - this.#options.maxTokens / 2;
  }

  /** An attempt has failed with a code that is retriable or not fatal, or with a pushback against retries. */
  failed(): void {
    this.#tokens = Math.max(this.#tokens - 1_000, 0);
  }

  /** An attempt has ended well. */
  succeeded(): void {
    const { maxTokens, tokenRatio } = this.#options;
    this.#tokens = Math.min(this.#tokens + Math.round(tokenRatio * 1_000), maxTokens * 1_000);
  }
}
