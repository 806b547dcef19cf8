import { readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import type { Eta } from "eta";
import { loadPeer } from "../../core/config/optional-peer.ts";
import { nearestName } from "../../core/errors/nearest-name.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

const suffix = ".eta";

/** Templates of a folder, compiled at the start; no file is read later. */
export class Templates {
  /** Names of all templates. */
  readonly names: readonly string[];
  readonly #engine: Eta;

  private constructor(names: readonly string[], engine: Eta) {
    this.names = names;
    this.#engine = engine;
  }

  /** @throws SetupError naming a file that cannot be read or compiled, or the package that is not installed */
  static async open(folder: string): Promise<Templates> {
    const { Eta: Engine } = await loadPeer("eta", "pages.templates", () => import("eta"));
    const engine = new Engine({ autoEscape: true, cache: true });
    let files: readonly string[];
    try {
      files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(suffix)).sort();
    } catch (cause) {
      throw new SetupError(`pages: the folder of templates ${folder} cannot be read`, { cause });
    }
    if (files.length === 0)
      throw new SetupError(`pages: ${folder} has no templates, files that end in ${suffix}`);
    const names = new Set<string>();
    // Templates name one another: a name stands for what was compiled, never for a file.
    engine.resolvePath = (name) => {
      const known = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name;
      if (names.has(known)) return known;
      throw unknown(name, [...names]);
    };
    engine.readFile = (name) => {
      throw unknown(name, [...names]);
    };
    for (const file of files) {
      const name = file.slice(0, -suffix.length).split(sep).join("/");
      try {
        engine.templatesSync.define(name, engine.compile(await readFile(join(folder, file), "utf8")));
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new SetupError(`pages: the template ${join(folder, file)} cannot be used: ${reason}`, {
          cause,
        });
      }
      names.add(name);
    }
    return new Templates([...names], engine);
  }

  /** Renders a template. @throws Error for a name that is none of `names`, and whatever the template throws */
  render(name: string, data: object): string {
    return this.#engine.render(name, data);
  }
}

function unknown(name: string, names: readonly string[]): Error {
  const near = nearestName(name, names);
  const hint = near === undefined ? `there are ${names.join(", ")}` : `did you mean ${near}?`;
  return new Error(`there is no template ${JSON.stringify(name)}; ${hint}`);
}
