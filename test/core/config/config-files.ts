import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LoadConfigOptions, LoadedConfig } from "../../../src/entries/config.ts";
import { ConfigError, loadConfig } from "../../../src/index.ts";

/** A folder of files of a configuration, removed when it is disposed of. */
export class ConfigFiles implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "ts-ms-config-"));

  /** @param files texts by names; they are given to `--config` in their order */
  constructor(files: Readonly<Record<string, string>> = {}) {
    for (const [name, text] of Object.entries(files)) this.write(name, text);
    this.names = Object.keys(files);
  }

  readonly names: readonly string[];

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, text: string, mode = 0o600): string {
    writeFileSync(this.path(name), text, { mode });
    return this.path(name);
  }

  /** Loads the files, with an empty environment unless the options have one. */
  load({ argv = [], env = {}, ...others }: LoadConfigOptions = {}): Promise<LoadedConfig> {
    const files = this.names.flatMap((name) => ["--config", this.path(name)]);
    return loadConfig({ argv: [...files, ...argv], env, ...others });
  }

  /** The mistakes of the files, without the path of the folder. */
  async mistakes(options: LoadConfigOptions = {}): Promise<readonly string[]> {
    return (await mistakesOf(this.load(options))).map((line) => line.replaceAll(`${this.folder}/`, ""));
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The lines of a configuration that cannot be used. */
export async function mistakesOf(loaded: Promise<LoadedConfig>): Promise<readonly string[]> {
  const error = await loaded.then(
    () => assert.fail("it was loaded"),
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConfigError)) throw error;
  return error.problems;
}
