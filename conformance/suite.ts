/** What a suite found. */
export interface SuiteResult {
  readonly passed: number;
  /** Cases that fail and are argued in the suite's own list. */
  readonly expectedFailures: number;
  /** Names of what failed. */
  readonly failures: readonly string[];
}

/** One outside suite, run against programs of this repository. */
export interface Suite {
  readonly name: string;
  /** Runs only by `npm run conformance -- --all`. */
  readonly slow?: boolean;
  /** Rejects with `Missing` where this machine lacks something that cannot be installed. */
  run(): Promise<SuiteResult>;
}

/** Collects the outcome of single checks. */
export class Checks {
  readonly #failures: string[] = [];
  #passed = 0;

  /** Counts `name` as passed if `body` resolves, else as failed with the reason. */
  async check(name: string, body: () => Promise<void>): Promise<void> {
    try {
      await body();
      this.#passed += 1;
    } catch (error) {
      this.#failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  get result(): SuiteResult {
    return { passed: this.#passed, expectedFailures: 0, failures: this.#failures };
  }
}
