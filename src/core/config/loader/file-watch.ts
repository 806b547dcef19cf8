import { statSync, watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";

/** How often files are looked at, beside what the file system reports, in milliseconds. */
const lookEveryMs = 2_000;

/** Files are often written in several steps: how long it must be quiet before they are read, in milliseconds. */
const quietMs = 100;

/** A file that was read. */
export interface SeenFile {
  readonly isSecret: boolean;
  /** What it was just before, by `fileSignature`. */
  readonly signature: string;
}

/** Reports when files have changed: their content, themselves, or a link on the way to them. */
export class FileWatch {
  readonly #changed: () => void;
  readonly #timer: NodeJS.Timeout;
  /** The files with what they were when they were read. */
  #files: ReadonlyMap<string, string> = new Map();
  #folders = "";
  #watchers: readonly (FSWatcher | undefined)[] = [];
  #quiet: NodeJS.Timeout | undefined;

  /** @param changed called once for each change, when it has been quiet for a moment */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#timer = setInterval(() => this.#look(), lookEveryMs).unref();
  }

  /** Watches these files in place of those before. @param files with what they were when they were read */
  follow(files: ReadonlyMap<string, string>): void {
    this.#files = files;
    // Folders are watched because files are replaced by renaming and by swapping links.
    const folders = [...new Set([...files.keys()].map((file) => dirname(file)))];
    if (folders.join("\n") === this.#folders) return;
    this.#folders = folders.join("\n");
    for (const watcher of this.#watchers) watcher?.close();
    this.#watchers = folders.map((folder) => watchFolder(folder, () => this.#stir()));
  }

  close(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#quiet);
    for (const watcher of this.#watchers) watcher?.close();
    this.#files = new Map();
  }

  #stir(): void {
    if (this.#files.size === 0) return;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#look(), quietMs).unref();
  }

  #look(): void {
    const now = new Map([...this.#files.keys()].map((file) => [file, fileSignature(file)] as const));
    const isChanged = [...this.#files].some(([file, signature]) => now.get(file) !== signature);
    if (!isChanged) return;
    this.#files = now;
    this.#changed();
  }
}

/** What differs when a file has changed. A file that is not there has a signature too. */
export function fileSignature(file: string): string {
  try {
    const stat = statSync(file, { bigint: true });
    return `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
  } catch {
    return "none";
  }
}

function watchFolder(folder: string, stirred: () => void): FSWatcher | undefined {
  try {
    return watch(folder, { persistent: false }, stirred).on("error", () => {});
  } catch {
    return undefined; // Not every file system reports changes: the timer finds them.
  }
}
