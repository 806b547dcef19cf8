/** Puts chunks that esbuild has made into fewer files: `chunk-groups.js` has the plan. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { build } from "esbuild";

/** Chunks of the file that is made. */
const own = "own";
/** Modules that stand for a chunk in another file: what it exports has other names there. */
const moved = "moved";
/** What esbuild writes before each of them. */
const headings = new RegExp(`^// (?:${own}|${moved}):.*\n`, "gm");

/**
 * Writes the outputs of a build, with the chunks of each group in one file beside the first of them. esbuild bundles each
 * group once more; imports of a chunk become imports of the file that it is in.
 *
 * @param result of a build with `splitting`, `metafile` and `write: false`
 * @param options esbuild's, of that build; `outdir` is where the files go
 * @param groups lists of paths of chunks, as in the metafile
 */
export async function writeMerged(result, options, groups) {
  const library = new MergedLibrary(result, options.absWorkingDir, groups);
  const { absWorkingDir, bundle, platform, format, target } = options;
  // What esbuild warned of, it has said already; here it would say each import for the order alone, which goes.
  const common = { absWorkingDir, bundle, platform, format, target, logLevel: "error" };
  await Promise.all(
    library.files.map(async (file) => {
      const { outputFiles } = await build({
        ...common,
        stdin: { contents: library.contentsOf(file) },
        outfile: join(absWorkingDir, file.path),
        plugins: [library.pluginFor(file)],
        write: false,
      });
      for (const { path, text } of outputFiles) {
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, text.replace(headings, ""));
      }
    }),
  );
}

/** The library's files, and where what chunks export is in them. Paths are those of the metafile. */
class MergedLibrary {
  files;
  #outputs;
  #texts = new Map();
  #fileOf = new Map();
  #numbers = new Map();

  constructor({ metafile: { outputs }, outputFiles }, root, groups) {
    this.#outputs = outputs;
    for (const { path, text } of outputFiles)
      this.#texts.set(relative(root, path).split(sep).join("/"), text);
    const grouped = new Set(groups.flat());
    const single = Object.keys(outputs).filter((path) => !grouped.has(path));
    this.files = [...groups, ...single.map((path) => [path])].map((members) => ({
      path: members[0],
      members,
    }));
    for (const file of this.files) for (const path of file.members) this.#fileOf.set(path, file);
    for (const [index, path] of Object.keys(outputs).entries()) this.#numbers.set(path, index);
  }

  /** A module that exports all that the chunks of a file do. */
  contentsOf(file) {
    return file.members
      .map((path) => {
        const names = this.#outputs[path].exports.map((name) =>
          name === "default" && !this.#isShared(file) ? name : `${name} as ${this.#nameIn(file, path, name)}`,
        );
        return `${names.length === 0 ? "import" : `export { ${names.join(", ")} } from`} ${JSON.stringify(`/${path}`)};`;
      })
      .join("\n");
  }

  /** Takes chunks of the file from memory, and leads all other imports to where they are. */
  pluginFor(file) {
    return {
      name: "merge-chunks",
      setup: ({ onResolve, onLoad }) => {
        onResolve({ filter: /.*/ }, ({ path, kind, importer, namespace }) => {
          if (namespace === moved || !/^[./]/.test(path)) return { path, external: true };
          const target = path.startsWith("/") ? path.slice(1) : posix.join(dirname(importer), path);
          if (kind === "dynamic-import") return { path: this.#wayTo(target, file), external: true };
          if (file.members.includes(target)) return { path: target, namespace: own };
          return { path: target, namespace: moved, sideEffects: false }; // Of what it exports, only what is used.
        });
        onLoad({ filter: /.*/, namespace: own }, ({ path }) => ({ contents: this.#texts.get(path) }));
        onLoad({ filter: /.*/, namespace: moved }, ({ path }) => ({ contents: this.#reexports(path, file) }));
      },
    };
  }

  /** A module with the exports of a chunk that is in another file. */
  #reexports(path, importer) {
    const file = this.#fileOf.get(path);
    const names = this.#outputs[path].exports.map((name) => `${this.#nameIn(file, path, name)} as ${name}`);
    return `export { ${names.join(", ")} } from ${JSON.stringify(this.#wayTo(file.path, importer))};`;
  }

  /** The name of a chunk's export in its file: chunks may have names in common. */
  #nameIn(file, path, name) {
    return this.#isShared(file) ? `${name}_${this.#numbers.get(path)}` : name;
  }

  #isShared({ members }) {
    return members.length > 1;
  }

  /** How a file imports another. */
  #wayTo(path, importer) {
    const way = posix.relative(dirname(importer.path), path);
    return way.startsWith(".") ? way : `./${way}`;
  }
}
