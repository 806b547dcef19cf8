/** The result of a suite. */
export interface SuiteResult {
  readonly passed: number;
  /** Number of expected failures, which the file of the suite lists with reasons. */
  readonly expectedFailures: number;
  /** Names of the failed cases. */
  readonly failures: readonly string[];
}

/** A conformance suite of another project, run against programs of this repository. */
export interface Suite {
  readonly name: string;
  /** Runs only by `npm run conformance -- --all`. */
  readonly slow?: boolean;
  /**
   * Rejects with `Missing` if this machine lacks a tool that cannot be installed.
   *
   * @param whole whether it may take as long as all of its cases need: `npm run conformance -- --all`
   */
  run(whole: boolean): Promise<SuiteResult>;
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
