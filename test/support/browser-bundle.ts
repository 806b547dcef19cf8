import assert from "node:assert/strict";
import { join } from "node:path";
import { build } from "esbuild";

const root = join(import.meta.dirname, "../..");

/** What a program of a module loads before its first stream, bundled for browsers with chunks. */
export async function firstLoad(contents: string): Promise<string> {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root, loader: "ts" },
    bundle: true,
    splitting: true,
    packages: "external",
    platform: "browser",
    format: "esm",
    minify: true,
    write: false,
    metafile: true,
    outdir: "out",
  });
  const textOf = (path: string): string => {
    const chunks = metafile.outputs[path]?.imports.filter(
      ({ kind, external }) => kind === "import-statement" && external !== true,
    );
    const own = outputFiles.find((file) => file.path === join(root, path))?.text ?? assert.fail(path);
    return [own, ...(chunks ?? []).map((chunk) => textOf(chunk.path))].join("\n");
  };
  return textOf("out/stdin.js");
}

/** The text of a module, bundled for browsers into one file. */
export async function bundle(contents: string, packages: "bundle" | "external"): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root, loader: "ts" },
    bundle: true,
    packages,
    platform: "browser",
    format: "esm",
    minify: true,
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}
