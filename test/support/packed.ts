import { cpSync, existsSync, readFileSync, symlinkSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { complete } from "./program.ts";

const root = join(import.meta.dirname, "../..");

/** Where programs are found: the Node of this process comes before others, for npm's own may be older than the package allows. */
export const packageEnv: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: [join(root, "node_modules/.bin"), dirname(process.execPath), process.env["PATH"]].join(delimiter),
};

/** The version of the package. */
export const packageVersion: string = versionOf(join(root, "package.json"));

function versionOf(file: string): string {
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version; // As npm reads it.
}

/**
 * Packs a copy of the tree into a folder, so that a build of somebody else's in `dist/` is neither seen nor disturbed; the
 * copy is beside it, in `copy`.
 */
export async function packTsMs(scratch: string): Promise<void> {
  const copy = join(scratch, "copy");
  const parts = [
    "docs",
    "src",
    "gen",
    "proto",
    "test",
    "examples",
    "tools/node/package.json",
    "tools/node/package-lock.json",
  ];
  const files = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "README.md",
    "LICENSE",
  ];
  const tools = [
    "build",
    "bundle",
    "child",
    "chunk-groups",
    "declarations",
    "executable",
    "inside",
    "install",
    "merge-chunks",
    "node-version",
    "notices",
    "npm-parent",
    "one-file",
    "one-file-loader",
    "run",
  ].map((name) => `tools/${name}.js`);
  for (const path of [...parts, ...files, ...tools, "CHANGELOG.md"].filter((name) =>
    existsSync(join(root, name)),
  )) {
    cpSync(join(root, path), join(copy, path), { recursive: true });
  }
  for (const path of ["node_modules", "tools/node/node_modules"]) {
    if (existsSync(join(root, path))) symlinkSync(join(root, path), join(copy, path));
  }
  await npmPack(copy, scratch);
}

/** Packs `create-ts-ms` into a folder. */
export async function packCreate(scratch: string): Promise<void> {
  await npmPack(join(root, "create"), scratch);
}

async function npmPack(cwd: string, into: string): Promise<void> {
  await complete("npm", ["pack", "--loglevel=error", "--pack-destination", into], { cwd, env: packageEnv });
}
