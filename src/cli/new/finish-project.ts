import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { SetupError } from "../../core/errors/setup-error.ts";
import { foldersUpwards } from "../folders-upwards.ts";
import type { Leftovers } from "./leftovers.ts";

/** What is done with a project that is written. */
export interface FinishOptions {
  readonly install: boolean;
  readonly git: boolean;
  /** Where the project will be. */
  readonly target: string;
}

/** Lines of the output of a program that an error has. */
const linesShown = 15;

/**
 * Makes a project ready to start: a repository of git where there is none yet, packages, generated code.
 *
 * @throws SetupError with what npm or the generator says
 */
export async function finishProject(
  folder: string,
  leftovers: Leftovers,
  { install, git, target }: FinishOptions,
): Promise<void> {
  if (git && !isInRepository(target)) await initialise(folder, leftovers);
  if (!install) return;
  process.stderr.write("Installing packages …\n");
  const npm = await run(folder, leftovers, "npm", ["install", "--no-audit", "--no-fund"]);
  if (npm.code !== 0) {
    const cure = "--no-install makes the project without its packages";
    throw new SetupError(`npm install failed, and nothing is left of the project; ${cure}\n${npm.output}`);
  }
  if (!existsSync(join(folder, "tools/generate.js"))) return;
  const made = await run(folder, leftovers, process.execPath, ["tools/generate.js"]);
  if (made.code !== 0) throw new SetupError(`no code can be made of the contract:\n${made.output}`);
}

function isInRepository(folder: string): boolean {
  return foldersUpwards(folder).some((at) => existsSync(join(at, ".git")));
}

/** Makes a repository of git; without git there is none. */
async function initialise(folder: string, leftovers: Leftovers): Promise<void> {
  try {
    await run(folder, leftovers, "git", ["init", "--quiet"]);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}

/** Runs a program to its end, in a process group of its own. @returns its code, and the last lines of what it printed */
async function run(
  cwd: string,
  leftovers: Leftovers,
  command: string,
  args: readonly string[],
): Promise<{ readonly code: number; readonly output: string }> {
  // npm runs on the Node of this process, for that on the PATH may be too old.
  const path = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
  const isWindows = process.platform === "win32";
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, PATH: path },
    stdio: ["ignore", "pipe", "pipe"],
    detached: !isWindows,
    shell: isWindows && command === "npm", // There it is a script of the shell.
  });
  leftovers.watch(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (end) => resolve(end ?? 1));
  });
  return { code, output: output.trim().split("\n").slice(-linesShown).join("\n") };
}
