import { readFile } from "node:fs/promises";
import { watchFile, type WatchedFile } from "../../core/security/watched-file.ts";
import { systemClock } from "../../core/time/clock.ts";
import type { SectionKit } from "./section.ts";

/** The largest file of keys, in bytes. */
const maxBytes = 1 << 20;

/** What a file of keys says. It is read again when it changes, between `follow` and `stop`. */
export class KeyFile<T> {
  readonly #path: string;
  readonly #parse: (text: string, path: string) => T;
  readonly #first: T;
  #watched: WatchedFile<T> | undefined;
  #isFollowed = false;

  private constructor(path: string, parse: (text: string, path: string) => T, first: T) {
    this.#path = path;
    this.#parse = parse;
    this.#first = first;
  }

  /** @throws Error if the file cannot be read, and what `parse` throws */
  static async read<T>(path: string, parse: (text: string, path: string) => T): Promise<KeyFile<T>> {
    return new KeyFile(path, parse, parse(await readFile(path, "utf8"), path));
  }

  get value(): T {
    return this.#watched === undefined ? this.#first : this.#watched.value;
  }

  /** @throws SetupError for a file that every user of this host may write, or that cannot be used any more */
  async follow({ logger }: Pick<SectionKit, "logger">): Promise<void> {
    if (this.#isFollowed) return;
    this.#isFollowed = true;
    const init = { path: this.#path, maxBytes, isSecret: true, parse: this.#parse };
    const watched = await watchFile(init, { clock: systemClock, logger });
    this.#watched = watched;
    if (!this.#isFollowed) watched.close(); // It was stopped meanwhile.
  }

  stop(): void {
    this.#isFollowed = false;
    this.#watched?.close();
  }
}

/** Follows files that a reload has brought, instead of others. */
export function followInstead(
  kit: Pick<SectionKit, "logger">,
  before: readonly KeyFile<unknown>[],
  after: readonly KeyFile<unknown>[],
): void {
  for (const file of before) file.stop();
  for (const file of after) {
    file.follow(kit).catch((error: unknown) => {
      kit.logger.warn({ err: error }, "a file of keys is not read again when it changes");
    });
  }
}
