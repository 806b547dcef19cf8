/**
 * Bundles by esbuild: the library as one file an entry with shared chunks, and the programs as one file each with
 * everything inside.
 */
import { globSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { groupChunks } from "./chunk-groups.js";
import { insidePackages } from "./inside.js";
import { writeMerged } from "./merge-chunks.js";
import { writeOneFile } from "./one-file.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22",
  logLevel: "warning",
};

/** Takes a third of the bytes away; names stay, for traces of errors. */
const minify = { minifyWhitespace: true, minifySyntax: true, lineLimit: 120 };

/** The program behind `bin` of package.json. */
export const commandProgram = "src/cli/ts-ms.ts";

/**
 * Bundles what users import. Packages stay outside, as a user's own copy of protobuf must be the one we use, but for
 * those of `insidePackages`.
 */
export async function bundleLibrary(outdir) {
  const options = {
    ...common,
    entryPoints: ["src/index.ts", ...globSync("src/entries/*.ts", { cwd: root })],
    outbase: ".",
    outdir,
    plugins: [insidePackages(root, "@connectrpc/connect"), pages],
    splitting: true,
    metafile: true,
    write: false,
    chunkNames: "src/chunks/[name]-[hash]",
  };
  const result = await build(options);
  await writeMerged(result, options, groupChunks(result.metafile.outputs));
  return result;
}

/**
 * Bundles a program as a user of the package would: `…/NAME.ts` to `NAME.mjs` in a folder. Its imports of `src/` become
 * those of the package, which stays outside like all others.
 *
 * @public for the bench, which imports this file by its path
 */
export function bundleUser(outdir, program) {
  return build({
    ...common,
    plugins: [packageImports],
    packages: "external",
    entryPoints: [program],
    outExtension: { ".js": ".mjs" },
    entryNames: "[name]",
    outdir,
  });
}

/** Imports of the library's sources as imports of the package: `src/entries/telemetry.ts` is `ts-ms/telemetry`. */
const packageImports = {
  name: "package-imports",
  setup({ onResolve }) {
    onResolve({ filter: /\/src\/(?:index|entries\/[\w-]+)\.ts$/ }, ({ path }) => {
      const entry = basename(path, ".ts");
      return { path: entry === "index" ? "ts-ms" : `ts-ms/${entry}`, external: true };
    });
  },
};

/**
 * Bundles the command. It has the packages inside that each of its starts needs, for they are hundreds of files: half of
 * a start was loading them.
 */
export function bundleCommand(outdir) {
  return build({
    ...common,
    entryPoints: [commandProgram],
    outbase: ".",
    outdir,
    splitting: true,
    metafile: true,
    ...minify, // A second copy of much of the library.
    chunkNames: "src/chunks/[name]-[hash]",
    plugins: [insidePackages(root, "@bufbuild/protobuf", "@connectrpc/connect"), pages, templates],
  });
}

/** Programs of `npm run build`. */
export const ownPrograms = ["examples/grpc-only.ts", "examples/http-only.ts", "examples/gateway.ts"];

/**
 * Bundles programs, `…/NAME.ts` to `NAME.mjs` in a folder, with a source map beside each: one file each or, with `split`,
 * with files beside them that are loaded when they are needed, as those of the library are.
 */
export function bundlePrograms(outdir, programs = ownPrograms, { split = false, minified = false } = {}) {
  return build({
    ...common,
    ...whole,
    ...(minified && minify),
    splitting: split,
    entryPoints: programs,
    entryNames: "[name]",
    outdir,
  });
}

/** Bundles a program, `…/NAME.ts`, to `NAME.mjs` in a folder, with its parts inside of the file (see `one-file.js`). */
export async function bundleOneFile(outdir, program) {
  const name = basename(program, ".ts");
  const result = await build({
    ...common,
    ...whole,
    splitting: true,
    ...minify,
    entryPoints: [program],
    entryNames: "[name]",
    outdir: join(outdir, `${name}.maps`),
    write: false,
  });
  writeOneFile(outdir, result.outputFiles, name);
  return result;
}

/**
 * Sources load some packages late, by a `require` made from a path: here it becomes the plain `require` that a bundler
 * follows.
 */
const requires = {
  name: "requires",
  setup({ onLoad, onResolve, resolve }) {
    onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const made = /^const (require\w*) = createRequire\(.+\);$/m.exec(text);
      if (made === null) {
        if (text.includes("createRequire(")) throw new Error(`${path}: a require that cannot be bundled`);
        return undefined;
      }
      const contents = text
        .replace(made[0], "")
        .replaceAll(`${made[1]}("`, 'require("')
        .replace('import { createRequire } from "node:module";\n', "");
      if (contents.includes("createRequire")) throw new Error(`${path}: a second require`);
      return { contents, loader: "ts" };
    });
    // The compilers of schemas belong to Fastify, which may have a copy of its own.
    onResolve(
      { filter: /^@fastify\/(?:ajv-compiler|fast-json-stringify-compiler)$/ },
      ({ path, kind, resolveDir, pluginData }) => {
        if (pluginData === "fastify" || resolveDir.includes("node_modules")) return undefined;
        return resolve(path, { kind, resolveDir: join(root, "node_modules/fastify"), pluginData: "fastify" });
      },
    );
  },
};

/** Modules that read files of the repository become modules with their contents. */
const contents = {
  name: "contents",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]vendored-protos\.ts$/ }, () => {
      const files = globSync("proto/{google/{api,rpc},grpc/health,ts_ms}/**/*.proto", { cwd: root });
      const entries = files.map((file) => [`/ts-ms/${file.split(sep).join("/")}`, readText(file)]);
      return {
        contents: `const texts = new Map(${JSON.stringify(entries)});
          export const vendoredFolder = () => "/ts-ms/proto";
          export const vendoredText = (path) => texts.get(path);`,
      };
    });
    // Packages that are inside need not be installed.
    onLoad({ filter: /[\\/]optional-peer\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const check = "import.meta.resolve(name);";
      if (!text.includes(check)) throw new Error(`${path}: a check that cannot be bundled`);
      return { contents: text.replace(check, ""), loader: "ts" };
    });
    onLoad({ filter: /[\\/]contract-comments\.ts$/ }, () => {
      const bytes = readFileSync(join(root, "gen/contract.binpb")).toString("base64");
      return { contents: `export const contractComments = () => Buffer.from("${bytes}", "base64");` };
    });
    onLoad({ filter: /[\\/]hub-client-file\.ts$/ }, async ({ path }) => {
      const { hubClientText } = await import(pathToFileURL(path).href);
      const text = JSON.stringify(await hubClientText());
      return { contents: `export const hubClientText = async () => ${text};` };
    });
  },
};

/** Modules that read the files of their folder for browsers become modules with the texts, byte by byte. */
const pages = {
  name: "pages",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]page-files\.ts$/ }, ({ path }) => {
      const folder = dirname(path);
      const files = globSync("*.{html,css,js,svg}", { cwd: folder });
      const entries = files.map((file) => [file, readText(join(relative(root, folder), file))]);
      return {
        contents: `const texts = new Map(${JSON.stringify(entries)});
          export const pageText = (file) => texts.get(file);`,
      };
    });
  },
};

/** The templates of `ts-ms new`, which npm would not pack as they are. */
const templates = {
  name: "templates",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]template-files\.ts$/ }, () => {
      const files = globSync("src/cli/templates/**/{*,.*}.txt", { cwd: root });
      const entries = files.map((file) => {
        const [, , , folder, ...path] = file.split(sep);
        return [folder, path.join("/").replace(/\.txt$/, ""), readText(file)];
      });
      return {
        contents: `const texts = ${JSON.stringify(entries)};
          export const templateFiles = (name) =>
            new Map(texts.filter(([folder]) => folder === name).map(([, path, text]) => [path, text]));`,
      };
    });
  },
};

/** What programs need, which have everything inside. */
const whole = {
  sourcemap: true,
  metafile: true,
  outExtension: { ".js": ".mjs" },
  // Native code in files of its own; what requires packages that are not installed with it; and what has a package
  // without the text of its licence.
  external: ["@currentspace/http3", "@dbos-inc/dbos-sdk", "pg"],
  plugins: [requires, contents, pages, templates],
  // CommonJS packages inside require modules of Node.
  banner: {
    js: 'import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url);',
  },
};

function readText(file) {
  return readFileSync(join(root, file), "utf8");
}
