import { existsSync, type FSWatcher, watch } from "node:fs";
import { basename, dirname, resolve } from "node:path";

/** How long files have to rest before a change counts, in milliseconds: editors write a file several times. */
const restMs = 200;

/** What is watched. */
export interface WatchedFiles {
  readonly files: readonly string[];
  /** Folders of which every `.proto` is watched, in folders below too. */
  readonly folders: readonly string[];
  /** Ends the watch. */
  readonly signal: AbortSignal;
}

/**
 * Calls `changed` after a file has changed, been replaced or come back, once for all changes within 200 ms. Folders of
 * `.proto` files are watched whole: their imports are there.
 *
 * @param changed the next call waits until this one is over
 */
export function watchFiles(watched: WatchedFiles, changed: () => Promise<void>): void {
  const { folders, signal } = watched;
  // The others are names below one of the folders.
  const files = watched.files.filter((file) => existsSync(file));
  // The folder and not the file: a file that is replaced is another one.
  const named = Map.groupBy(
    files.map((file) => resolve(file)),
    (file) => dirname(file),
  );
  const protoFolders = new Set(folders.map((folder) => resolve(folder)));
  for (const file of files) if (file.endsWith(".proto")) protoFolders.add(dirname(resolve(file)));
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const touch = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = running.then(changed);
    }, restMs);
  };
  const watchers: FSWatcher[] = [];
  for (const [folder, paths] of named) {
    const names = new Set(paths.map((path) => basename(path)));
    watchers.push(watch(folder, (_, name) => void ((name === null || names.has(name)) && touch())));
  }
  for (const folder of protoFolders) {
    const options = { recursive: true };
    watchers.push(
      watch(folder, options, (_, name) => void ((name ?? "x.proto").endsWith(".proto") && touch())),
    );
  }
  for (const watcher of watchers) watcher.on("error", () => {}); // A folder that has gone: nothing changes in it.
  const end = (): void => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
  signal.addEventListener("abort", end, { once: true });
}
