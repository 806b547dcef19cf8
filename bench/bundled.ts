import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Program } from "./contestant.ts";

/** What the bundler of `npm run build`, which has no types, offers. */
interface Bundler {
  bundlePrograms(folder: string, programs: readonly string[], options: { split: boolean }): Promise<unknown>;
  bundleOneFile(folder: string, program: string): Promise<unknown>;
}

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

async function makeBundle(file: string, bundle: Bundle): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const bundler = join(import.meta.dirname, "../tools/bundle.js");
  const tools = (await import(bundler)) as Bundler;
  await bundle(tools, folder, `bench/contestants/${file}`);
  return join(folder, `${basename(file, ".ts")}.mjs`);
}
