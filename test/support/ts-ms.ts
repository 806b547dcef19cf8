import { spawn } from "node:child_process";
import { join } from "node:path";
import { programFile, type CommandResult } from "./program.ts";

const root = join(import.meta.dirname, "../..");

/** How long a command may take, in milliseconds, on a slow machine. */
const patienceMs = 30_000;

/** The command `ts-ms` as it is started here. */
export const tsMsFile: string = programFile("src/cli/ts-ms.ts");

/** How a command is started. */
export interface TsMsOptions {
  /** All of its standard input. Default: nothing. */
  readonly stdin?: string;
  /** The folder that it runs in. Default: that of the repository. */
  readonly cwd?: string;
  /** Environment variables besides those of this process. Default: none. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `ts-ms` with these arguments to its end, whatever its exit code. */
export function tsMs(...args: readonly string[]): Promise<CommandResult> {
  return tsMsWith({}, ...args);
}

/** As `tsMs`, with options. */
export async function tsMsWith(
  { stdin = "", cwd = root, env = {} }: TsMsOptions,
  ...args: readonly string[]
): Promise<CommandResult> {
  const child = spawn(process.execPath, [tsMsFile, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["pipe", "pipe", "pipe"],
    timeout: patienceMs,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.on("error", () => {}); // It may end before it has read everything.
  child.stdin.end(stdin);
  const code = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (end, signal) => {
      if (end === null) reject(new Error(`ts-ms ${args.join(" ")} died of ${signal}\n${stdout}${stderr}`));
      else resolve(end);
    });
  });
  return { code, stdout, stderr };
}
