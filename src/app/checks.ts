import { SetupError } from "../core/errors/setup-error.ts";

/** Options of `App.addCheck`. */
export interface CheckOptions {
  /** Time from the end of a check to the next one, in milliseconds. Default: 10,000. */
  readonly intervalMs: number;
  /** How long a check may take, in milliseconds; it has failed then. Default: 2,000. */
  readonly timeoutMs: number;
  /** Whether the app reports itself as not serving while the check fails. Default: true. */
  readonly critical: boolean;
}

/** The defaults of `CheckOptions`. */
export const checkDefaults: CheckOptions = Object.freeze({
  intervalMs: 10_000,
  timeoutMs: 2_000,
  critical: true,
});

/** The latest result of a check. */
export interface CheckReport {
  /** `pending` before the first result. */
  readonly status: "passing" | "failing" | "pending";
  readonly critical: boolean;
  /** How long it took, in milliseconds; undefined before the first result. */
  readonly latencyMs: number | undefined;
  /** Why it fails; undefined while it passes. */
  readonly error: string | undefined;
}

/** What an app needs to serve, such as its database, asked at intervals while the app runs. */
export class Checks {
  readonly #checks = new Map<string, Check>();
  readonly #onChange: (isServing: boolean) => void;
  #isServing = true;
  #running = false;

  /** @param onChange is called when the last critical check passes again, and when the first one fails */
  constructor(onChange: (isServing: boolean) => void) {
    this.#onChange = onChange;
  }

  /** Whether no critical check fails. */
  get isServing(): boolean {
    return this.#isServing;
  }

  get reports(): Readonly<Record<string, CheckReport>> {
    return Object.fromEntries([...this.#checks].map(([name, check]) => [name, check.report]));
  }

  /** @throws SetupError for a name that is in use, and for a check or an option that cannot be used */
  add(name: string, ask: () => unknown, options: Partial<CheckOptions>): void {
    if (this.#checks.has(name)) throw new SetupError(`a check "${name}" is added already`);
    const merged = { ...checkDefaults, ...options };
    for (const key of ["intervalMs", "timeoutMs"] as const) {
      if (merged[key] > 0) continue;
      throw new SetupError(`the check "${name}": ${key} must be a number above 0, in milliseconds`);
    }
    const check = new Check(ask, merged, () => this.#changed());
    this.#checks.set(name, check);
    if (this.#running) void check.start();
  }

  /** Begins to check; resolves with the first result of each. */
  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    const first = [...this.#checks.values()].map((check) => check.start());
    this.#changed();
    await Promise.all(first);
  }

  /** Ends checking; the results stay. */
  stop(): void {
    this.#running = false;
    for (const check of this.#checks.values()) check.stop();
  }

  #changed(): void {
    const isServing = [...this.#checks.values()].every(
      ({ report: { critical, status } }) => !critical || status === "passing",
    );
    if (isServing === this.#isServing) return;
    this.#isServing = isServing;
    this.#onChange(isServing);
  }
}

class Check {
  report: CheckReport;
  readonly #ask: () => unknown;
  readonly #options: CheckOptions;
  readonly #changed: () => void;
  #timer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(ask: () => unknown, options: CheckOptions, changed: () => void) {
    this.#ask = ask;
    this.#options = options;
    this.#changed = changed;
    const { critical } = options;
    this.report = { status: "pending", critical, latencyMs: undefined, error: undefined };
  }

  async start(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    await this.#once();
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  /** Asks once, and again after the interval. One that has not answered in time is not asked again before it has. */
  async #once(): Promise<void> {
    const begun = performance.now();
    const answer = this.#answer();
    const { timeoutMs } = this.#options;
    const late = Promise.withResolvers<string>();
    const timer = setTimeout(() => late.resolve(`no answer within ${timeoutMs} ms`), timeoutMs);
    const error = await Promise.race([answer, late.promise]);
    clearTimeout(timer);
    const { critical } = this.#options;
    const latencyMs = performance.now() - begun;
    this.report = { status: error === undefined ? "passing" : "failing", critical, latencyMs, error };
    this.#changed();
    void answer.then(() => {
      if (!this.#running) return;
      this.#timer = setTimeout(() => void this.#once(), this.#options.intervalMs).unref();
    });
  }

  /** Why it fails; undefined if it passes. */
  async #answer(): Promise<string | undefined> {
    try {
      return (await this.#ask()) === false ? "the check has answered false" : undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
