import { FlagError } from "../../errors/setup-error.ts";

/** Further mistakes are counted, not listed. */
const mostListed = 50;

/** A configuration that cannot be used. The message has a line for each mistake; programs print it and exit with code 2. */
export class ConfigError extends FlagError {
  /** A line for each mistake, 50 at most, then one that says how many more there are. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

/** Collects the mistakes of all sources. */
export class Problems {
  readonly #lines: string[] = [];
  readonly #seen = new Set<string>();
  #more = 0;

  /** @param at where: `config.yaml:5:14`, `environment TS_MS_HTTP_PORT` */
  add(at: string, text: string): void {
    const line = `${at}: ${text}`;
    if (this.#seen.has(line)) return;
    if (this.#lines.length >= mostListed) {
      this.#more++;
      return;
    }
    this.#seen.add(line);
    this.#lines.push(line);
  }

  /** Whether further mistakes are only counted: hints for them are not worth their time. */
  get isFull(): boolean {
    return this.#lines.length >= mostListed;
  }

  /** @throws ConfigError if there are any */
  check(): void {
    if (this.#lines.length === 0) return;
    const more = this.#more === 0 ? [] : [`and ${this.#more} more`];
    throw new ConfigError([...this.#lines, ...more]);
  }
}
