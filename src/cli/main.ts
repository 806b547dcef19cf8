import { nearest } from "../core/config/flags.ts";
import { ownVersion } from "../core/config/own-version.ts";
import { FlagError, SetupError } from "../core/errors/setup-error.ts";
import { exitCodes } from "./command.ts";
import { commands } from "./commands.ts";

/** Runs a command line. @param argv the arguments after `ts-ms` @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    process.stderr.write(commandsText());
    return exitCodes.usage;
  }
  if (/^(?:--?help|-h|help)$/.test(name))
    return rest[0] === undefined ? printHelp() : run(rest[0], ["--help"]);
  if (/^--?version$/.test(name)) {
    process.stdout.write(`ts-ms ${ownVersion()}\n`);
    return exitCodes.done;
  }
  if (name === "__complete") return answerShell(rest);
  return run(name, rest);
}

/** Answers a script of `ts-ms completion`. */
async function answerShell([shell, ...words]: readonly string[]): Promise<number> {
  const [{ printCompletion }, { shells }] = await Promise.all([
    import("./completion/complete.ts"),
    import("./completion/scripts.ts"),
  ]);
  const known = shells.find((name) => name === shell);
  if (known === undefined) return exitCodes.usage;
  await printCompletion(commands, known, words);
  return exitCodes.done;
}

function printHelp(): number {
  process.stdout.write(commandsText());
  return exitCodes.done;
}

async function run(name: string, argv: readonly string[]): Promise<number> {
  const entry = commands.find((command) => command.name === name);
  if (entry === undefined) return refuse(name);
  try {
    const { command } = await entry.load();
    return await command.start(`ts-ms ${name}`, argv);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`ts-ms ${name}: ${error.message}\n`);
    return error instanceof FlagError ? exitCodes.usage : exitCodes.failed;
  }
}

function refuse(name: string): number {
  const meant = nearest(
    name,
    commands.map((command) => command.name),
  );
  const problem = name.startsWith("-")
    ? `the first argument is the command, not ${name}`
    : `unknown command ${JSON.stringify(name)}${meant === undefined ? "" : `, did you mean ${meant}?`}`;
  process.stderr.write(`ts-ms: ${problem}\nRun ts-ms --help to see all commands.\n`);
  return exitCodes.usage;
}

/** What `ts-ms --help` prints. */
function commandsText(): string {
  const width = Math.max(...commands.map(({ name }) => name.length)) + 2;
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}${summary}\n`);
  return [
    "Usage: ts-ms COMMAND [arguments] [flags]\n\n",
    `Commands:\n${lines.join("")}\n`,
    "ts-ms COMMAND --help shows the arguments and flags of a command, ts-ms --version the version.\n",
  ].join("");
}
