import {
  type FlagGroup,
  type FlagValues,
  helpText,
  type Positional,
  readCommandLine,
} from "../core/config/flags.ts";

/** Exit codes of the command line. Besides these, `call` ends with 64 and the code of gRPC that its rpc ended with. */
export const exitCodes = Object.freeze({ done: 0, failed: 1, usage: 2, interrupted: 130 });

/** What a file of a command defines. */
export interface CommandInit<G extends FlagGroup> {
  /** Arguments besides flags. Default: none. */
  readonly positionals?: readonly Positional[];
  readonly flags: G;
  /** Command lines without `ts-ms` and what each does, for the help. Default: none. */
  readonly examples?: readonly (readonly [line: string, meaning: string])[];
  /**
   * Does it. What is heavy is imported here and not by the file, which help and completion load too.
   *
   * @returns the exit code
   * @throws FlagError for what is wrong with the command line: its message is printed, exit code 2
   * @throws SetupError for other problems that a user can cure: its message is printed, exit code 1
   */
  run(flags: FlagValues<G>, args: readonly string[]): Promise<number>;
}

/** A command with its flags, as the command line runs it. */
export interface Command {
  readonly positionals: readonly Positional[];
  readonly flags: FlagGroup;
  /** What `--help` prints. @param name how the command is called: `ts-ms call` */
  help(name: string): string;
  /** Parses the arguments and runs. Prints help, and what is wrong with the arguments. @returns the exit code */
  start(name: string, argv: readonly string[]): Promise<number>;
}

/** A line of the list of commands. */
export interface CommandEntry {
  readonly name: string;
  /** What it does, in a sentence without a full stop. */
  readonly summary: string;
  /** Imports its file. */
  readonly load: () => Promise<{ readonly command: Command }>;
}

/** Makes a command of what its file defines. */
export function defineCommand<const G extends FlagGroup>(init: CommandInit<G>): Command {
  const { flags, positionals = [], examples = [] } = init;
  const help = (name: string): string => {
    const width = Math.max(...examples.map(([line]) => line.length));
    const lines = examples.map(([line, meaning]) => `  ts-ms ${line.padEnd(width)}  ${meaning}\n`);
    const shown = lines.length === 0 ? "" : `\nExamples:\n${lines.join("")}`;
    return `${helpText(name, flags, positionals)}${shown}`;
  };
  return {
    positionals,
    flags,
    help,
    async start(name, argv) {
      const line = readCommandLine(name, flags, argv, positionals);
      switch (line.kind) {
        case "run":
          return init.run(line.flags, line.args);
        case "print":
          process.stdout.write(line.isHelp ? help(name) : line.text);
          return exitCodes.done;
        case "refuse":
          process.stderr.write(line.text);
          return exitCodes.usage;
      }
    },
  };
}
