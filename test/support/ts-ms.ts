import { fork, spawn, type ChildProcess } from "node:child_process";
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
  /**
   * Whether it has a process of its own, as what is about signals, standard input and the end of a process needs. Else
   * it runs in a process that has run others before. Default: false, but for a command with `stdin`.
   */
  readonly alone?: boolean;
}

/** A command line, as `command-lines-program.ts` takes it. */
export interface CommandLine {
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs `ts-ms` with these arguments to its end, whatever its exit code. */
export function tsMs(...args: readonly string[]): Promise<CommandResult> {
  return tsMsWith({}, ...args);
}

/** As `tsMs`, with options. */
export async function tsMsWith(
  { stdin, cwd = root, env = {}, alone = stdin !== undefined }: TsMsOptions,
  ...args: readonly string[]
): Promise<CommandResult> {
  if (alone) return startAlone({ args, cwd, env }, stdin ?? "");
  const result = turn.then(() => runWarm({ args, cwd, env }));
  turn = result.catch(() => {});
  return result;
}

/** Ends with the last command that was asked for: they run one after the other. */
let turn: Promise<unknown> = Promise.resolve();
/** The process that runs them; it ends with this one. */
let warm: ChildProcess | undefined;

async function runWarm(line: CommandLine): Promise<CommandResult> {
  warm ??= fork(programFile("test/programs/fixtures/command-lines-program.ts"), {
    execArgv: [], // Those of the test runner would open its report a second time.
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const child = warm;
  child.ref();
  child.channel?.ref();
  child.send(line);
  const answer = await new Promise<CommandResult & { error?: string }>((resolve, reject) => {
    const fail = (problem: string): void => reject(new Error(`ts-ms ${line.args.join(" ")}: ${problem}`));
    const timer = setTimeout(fail, patienceMs, `no end within ${patienceMs} ms`);
    const ended = (): void => fail("its process has ended");
    child.once("exit", ended);
    child.once("message", (message) => {
      clearTimeout(timer);
      child.off("exit", ended);
      resolve(message as CommandResult); // What `command-lines-program.ts` answers.
    });
  });
  child.unref();
  child.channel?.unref();
  const { error, ...result } = answer;
  if (error === undefined) return result;
  throw new Error(`ts-ms ${line.args.join(" ")}: ${error}\n${result.stdout}${result.stderr}`);
}

async function startAlone({ args, cwd, env }: CommandLine, stdin: string): Promise<CommandResult> {
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
