import { readFile, stat } from "node:fs/promises";
import { SetupError } from "../errors/setup-error.ts";
import type { SecurityParts } from "./security-parts.ts";

/** How often a file is looked at, in milliseconds. */
const lookMs = 1_000;

/** What can be seen of a file without reading it. */
interface Look {
  readonly stamp: string;
  readonly mode: number;
  readonly bytes: number;
}

/** A file in use. */
export interface WatchedFile<T> {
  /** What the file says now. */
  readonly value: T;
  /** Reads the file no more. */
  close(): void;
}

/** How a file is read. */
export interface WatchedFileInit<T> {
  readonly path: string;
  /** A larger file is refused, in bytes. */
  readonly maxBytes: number;
  /** Whether the file grants access, so that no other user of the host may write it. */
  readonly isSecret: boolean;
  /** @throws SetupError for a file that cannot be used */
  readonly parse: (text: string, path: string) => T;
  /** Called after each change. */
  readonly onChange?: (value: T) => void;
}

/**
 * Reads a file, and again whenever it changes, within two seconds. Links are followed, also when they are exchanged, as
 * Kubernetes does with those of its mounts. A file that cannot be used any more is logged, and what it said before
 * counts on.
 *
 * @throws SetupError if it cannot be used at the start
 */
export async function watchFile<T>(
  init: WatchedFileInit<T>,
  { clock, logger }: Pick<SecurityParts, "clock" | "logger">,
): Promise<WatchedFile<T>> {
  const { path, parse, onChange } = init;
  let seen = await look(path);
  let value = parse(await read(init, seen), path);
  if (init.isSecret && (seen.mode & 0o004) !== 0) {
    logger?.warn({ file: path }, "every user of this host can read a file of secrets; use chmod o-r");
  }
  let closed = false;
  const lookAgain = async (): Promise<void> => {
    try {
      const now = await look(path);
      if (now.stamp !== seen.stamp) {
        seen = now;
        const changed = parse(await read(init, now), path);
        if (closed) return;
        value = changed;
        onChange?.(value);
      }
    } catch (error) {
      if (!isMissing(error) || seen.stamp !== "")
        logger?.warn(
          { err: error, file: path },
          "a changed file cannot be used; what it said before counts on",
        );
      if (isMissing(error)) seen = { ...seen, stamp: "" };
    }
    if (!closed) cancel = clock.after(lookMs, () => void lookAgain(), false);
  };
  let cancel = clock.after(lookMs, () => void lookAgain(), false);
  return {
    get value() {
      return value;
    },
    close() {
      closed = true;
      cancel();
    },
  };
}

/** A file that is not there is told once. */
class MissingFile extends SetupError {}

function isMissing(error: unknown): boolean {
  return error instanceof MissingFile;
}

async function look(path: string): Promise<Look> {
  try {
    const { mtimeNs, ino, size, mode } = await stat(path, { bigint: true });
    return { stamp: `${ino} ${size} ${mtimeNs} ${mode}`, mode: Number(mode), bytes: Number(size) };
  } catch (error) {
    throw new MissingFile(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function read<T>(
  { path, maxBytes, isSecret }: WatchedFileInit<T>,
  { mode, bytes }: Look,
): Promise<string> {
  if (isSecret && (mode & 0o002) !== 0) {
    throw new SetupError(`${path}: every user of this host can write this file; use chmod o-w`);
  }
  if (bytes > maxBytes) throw new SetupError(`${path}: the file is larger than ${maxBytes} bytes`);
  return readFile(path, "utf8");
}
