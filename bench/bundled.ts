import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Program } from "./contestant.ts";

/** What the bundler of `npm run build`, which has no types, offers. */
interface Bundler {
  bundlePrograms(folder: string, programs: readonly string[], options: { split: boolean }): Promise<unknown>;
  bundleOneFile(folder: string, program: string): Promise<unknown>;
  bundleLibrary(folder: string): Promise<unknown>;
  bundleUser(folder: string, program: string): Promise<unknown>;
}

/** That which makes executables of `npm run build`. */
interface ExecutableBuilder {
  buildExecutable(folder: string, program: string): Promise<{ readonly output: string }>;
}

const root = join(import.meta.dirname, "..");

/** Makes a file of JavaScript in a folder from a program of `bench/contestants/`, by its path. */
type Bundle = (tools: Bundler, folder: string, program: string) => Promise<unknown>;

const splitBundle: Bundle = (tools, folder, program) =>
  tools.bundlePrograms(folder, [program], { split: true });

const known = new Map<string, Promise<string>>();

/**
 * A program of `bench/contestants/` in JavaScript, with files beside it that are loaded when they are needed, as those of
 * the published library are: sources would be compared in the time and the memory that reading TypeScript takes.
 */
export async function bundled({ file, args = [] }: Program): Promise<Program> {
  let bundle = known.get(file);
  if (bundle === undefined) known.set(file, (bundle = makeBundle(file, splitBundle)));
  return { file: await bundle, args };
}

/** A program of `bench/contestants/` as one file, as `npm run build` makes it. */
export async function inOneFile({ file, args = [] }: Program): Promise<Program> {
  const bundle = makeBundle(file, (tools, folder, program) => tools.bundleOneFile(folder, program));
  return { file: await bundle, args };
}

/**
 * A program of `bench/contestants/` that imports the library as the published package has it, installed beside the packages
 * that it needs.
 */
export async function withPackage({ file, args = [] }: Program): Promise<Program> {
  const bundle = makeBundle(file, async (tools, folder, program) => {
    const modules = join(folder, "node_modules");
    mkdirSync(join(modules, "ts-ms"), { recursive: true });
    for (const name of readdirSync(join(root, "node_modules"))) {
      symlinkSync(join(root, "node_modules", name), join(modules, name));
    }
    cpSync(join(root, "package.json"), join(modules, "ts-ms/package.json"));
    await tools.bundleLibrary(join(modules, "ts-ms/dist"));
    await tools.bundleUser(folder, program);
  });
  return { file: await bundle, args };
}

/** A program of `bench/contestants/` as an executable, with Node inside. */
export async function asExecutable({ file, args = [] }: Program): Promise<Program> {
  const tools = (await import(join(root, "tools/executable.js"))) as ExecutableBuilder;
  const { output } = await tools.buildExecutable(scratchFolder(), `bench/contestants/${file}`);
  return { file: output, args, isExecutable: true };
}

async function makeBundle(file: string, bundle: Bundle): Promise<string> {
  const folder = scratchFolder();
  const tools = (await import(join(root, "tools/bundle.js"))) as Bundler;
  await bundle(tools, folder, `bench/contestants/${file}`);
  return join(folder, `${basename(file, ".ts")}.mjs`);
}

/** A folder that is gone with this process. */
function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
