import { reloadCounts } from "../reload-counts.ts";
import { checkTogether } from "./checks.ts";
import { ConfigError, Problems } from "./config-error.ts";
import type { Config, ConfigSource, LoadedConfig, ReloadReport, WatchConfigOptions } from "./config-types.ts";
import { FileWatch, type SeenFile } from "./file-watch.ts";
import { Loaded, toConfig, type ConfigReader, type ConfigState } from "./load-config.ts";
import { printJson, printYaml } from "./print.ts";
import { reloaded } from "./reload.ts";

/**
 * Reads a configuration again when it is asked to, on SIGHUP and when files change, and puts it in use in one turn.
 *
 * @param loaded from `loadConfig`
 * @throws TypeError for another one
 */
export function watchConfig(loaded: LoadedConfig, options: WatchConfigOptions): ConfigSource {
  if (!(loaded instanceof Loaded)) throw new TypeError("watchConfig takes what loadConfig gives");
  return new WatchedConfig(loaded, options);
}

class WatchedConfig implements ConfigSource {
  readonly #reader: ConfigReader;
  readonly #options: WatchConfigOptions;
  readonly #watch: FileWatch;
  #state: ConfigState;
  #config: Config;
  #restartNeeded: readonly string[] = [];
  #running: Promise<ReloadReport> | undefined;
  #next: Promise<ReloadReport> | undefined;
  readonly #seen = new Map<string, SeenFile>();
  #isClosed = false;

  constructor({ reader, state, config }: Loaded, options: WatchConfigOptions) {
    this.#reader = reader;
    this.#options = options;
    this.#state = state;
    this.#config = config;
    this.#watch = new FileWatch(() => void this.#reload("files"));
    this.#follow();
    reloadCounts.restartNeeded = 0;
    if (options.signal !== false) process.on("SIGHUP", this.#onSignal);
  }

  get config(): Config {
    return this.#config;
  }

  get restartNeeded(): readonly string[] {
    return this.#restartNeeded;
  }

  print(format: "yaml" | "json" = "yaml"): string {
    return (format === "json" ? printJson : printYaml)(this.#state.tree, this.#reader.root);
  }

  reload(): Promise<ReloadReport> {
    return this.#reload("call");
  }

  close(): void {
    this.#isClosed = true;
    this.#watch.close();
    process.off("SIGHUP", this.#onSignal);
  }

  readonly #onSignal = (): void => void this.#reload("signal");

  /** One reload at a time; those that are asked for meanwhile are one, which begins after it. */
  #reload(why: "call" | "signal" | "files"): Promise<ReloadReport> {
    if (this.#running === undefined) {
      this.#running = this.#once(why).finally(() => (this.#running = undefined));
      return this.#running;
    }
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#reload(why);
    });
    return this.#next;
  }

  async #once(why: "call" | "signal" | "files"): Promise<ReloadReport> {
    const report = await this.#attempt();
    this.#follow();
    reloadCounts.results[report.result]++;
    reloadCounts.restartNeeded = report.restartNeeded.length;
    const isQuiet = why === "files" && report.result === "unchanged" && report.restartNeeded.length === 0;
    if (!isQuiet) this.#options.onReload?.(report);
    return report;
  }

  async #attempt(): Promise<ReloadReport> {
    let read: ConfigState | undefined;
    try {
      if (this.#isClosed) throw new ConfigError(["the program stops"]);
      read = this.#reader.read();
      return await this.#use(read);
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems : linesOf(error);
      return {
        result: "rejected",
        changed: [],
        restartNeeded: this.#restartNeeded,
        problems,
        warnings: read?.warnings ?? [],
      };
    }
  }

  /** @throws Error if it cannot be used */
  async #use(read: ConfigState): Promise<ReloadReport> {
    const { root } = this.#reader;
    const { tree, changed, restartNeeded } = reloaded(this.#state.tree, read.tree, root);
    const { warnings } = read;
    if (changed.length > 0) {
      // The new values beside the old ones of other keys.
      const problems = new Problems();
      checkTogether(tree, problems, new Set(), new Set());
      problems.check();
      const next = toConfig(tree, root);
      const swap = await this.#options.prepare({ next, previous: this.#config, changed });
      swap();
      this.#config = next;
    }
    this.#state = { ...read, tree };
    for (const file of this.#seen.keys()) if (!this.#reader.seen.has(file)) this.#seen.delete(file);
    this.#restartNeeded = restartNeeded;
    return {
      result: changed.length > 0 ? "applied" : "unchanged",
      changed,
      restartNeeded,
      problems: [],
      warnings,
    };
  }

  /** Watches the files that were read last; those that a failed read did not come to stay as they were. */
  #follow(): void {
    if (this.#isClosed) return;
    for (const [file, seen] of this.#reader.seen) this.#seen.set(file, seen);
    const isWatched = this.#options.watchFiles ?? this.#config.app.watchConfig;
    const followed = [...this.#seen].filter(([, { isSecret }]) => isSecret || isWatched);
    this.#watch.follow(new Map(followed.map(([file, { signature }]) => [file, signature])));
  }
}

function linesOf(error: unknown): readonly string[] {
  return (error instanceof Error ? error.message : String(error)).split("\n");
}
