import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { SetupError } from "../../core/errors/setup-error.ts";
import { foldersUpwards } from "../folders-upwards.ts";

/** The path of a program: of a project's packages, else of PATH; undefined if there is none. */
export function toolPath(name: string, folder: string): string | undefined {
  const ending = process.platform === "win32" ? ".cmd" : "";
  const own = foldersUpwards(folder).map((at) => join(at, "node_modules/.bin"));
  const folders = [...own, ...(process.env["PATH"] ?? "").split(delimiter)];
  return folders.map((at) => join(at, name + ending)).find((path) => existsSync(path));
}

/** Runs a program of a project; what it prints goes to standard error. @throws SetupError if it is missing or fails */
export async function runTool(name: string, args: readonly string[], folder: string): Promise<void> {
  const path = toolPath(name, folder);
  if (path === undefined) throw new SetupError(`${name} is not there`);
  const bin = join(folder, "node_modules/.bin"); // Generators are found there.
  const env = { ...process.env, PATH: [bin, process.env["PATH"]].join(delimiter) };
  const child = spawn(path, args, {
    cwd: folder,
    env,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new SetupError(`${name} ${args.join(" ")} ended with ${code}`);
}
