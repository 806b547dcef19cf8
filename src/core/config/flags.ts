import { ownVersion } from "./own-version.ts";
import { editDistance } from "../errors/nearest-name.ts";
import type { Flag } from "./flag-kinds.ts";

/** Flags by their names in code: `grpcPort` is `--grpc-port` on the command line. */
export type FlagGroup = Readonly<Record<string, Flag>>;

/** The values of a group of flags. */
export type FlagValues<G extends FlagGroup> = {
  readonly [K in keyof G]: G[K] extends Flag<infer T> ? T : never;
} & {
  /** Names, as in code, of the flags that were given on the command line. */
  readonly given: ReadonlySet<string>;
};

/** The outcome of parsing a command line: run, print a text and exit, or print an error and exit. */
export type CommandLine<G extends FlagGroup> =
  | { readonly kind: "run"; readonly flags: FlagValues<G> }
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "refuse"; readonly text: string };

/** Exit code for an invalid command line. */
const usageError = 2;

/**
 * The values of the flags in `argv`.
 *
 * One or two dashes, `--flag value` or `--flag=value`; the last value of a flag that is not repeatable wins. For
 * `--help` and `--version` it prints to standard output and exits with code 0; for invalid arguments it prints an error
 * that names the argument to standard error and exits with code 2.
 *
 * @param program Name of the program, for help.
 * @param group All flags of the program.
 * @param argv Default: the process' own arguments.
 */
export function parseFlags<G extends FlagGroup>(
  program: string,
  group: G,
  argv: readonly string[] = process.argv.slice(2),
): FlagValues<G> {
  const line = readCommandLine(program, group, argv);
  switch (line.kind) {
    case "run":
      return line.flags;
    case "print":
      process.stdout.write(line.text);
      return process.exit(0);
    case "refuse":
      process.stderr.write(line.text);
      return process.exit(usageError);
  }
}

/** As `parseFlags`, but only parses: prints nothing and does not exit. */
export function readCommandLine<G extends FlagGroup>(
  program: string,
  group: G,
  argv: readonly string[],
): CommandLine<G> {
  const flags = new Map<string, Flag>();
  const names = new Map<string, string>();
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(group)) {
    flags.set(toFlagName(name), flag);
    names.set(toFlagName(name), name);
    values[name] = flag.default;
  }
  const given = new Set<string>();
  const refuse = (problem: string): CommandLine<G> => ({
    kind: "refuse",
    text: `${program}: ${problem}\nRun with --help to see all flags.\n`,
  });

  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] ?? "";
    if (argument === "--") continue; // Package managers forward it.
    const match = /^--?([a-zA-Z][^=]*)(?:=(.*))?$/s.exec(argument);
    if (match === null) return refuse(`unexpected argument ${JSON.stringify(argument)}`);
    const name = match[1] ?? "";
    if (name === "help" || name === "h") return { kind: "print", text: helpText(program, group) };
    if (name === "version") return { kind: "print", text: `ts-ms ${ownVersion()}\n` };
    const flag = flags.get(name);
    const key = names.get(name);
    if (flag === undefined || key === undefined) {
      return refuse(`unknown flag --${name}${suggest(name, [...flags.keys(), "help", "version"])}`);
    }
    let text = match[2];
    if (text === undefined && flag.value === undefined) text = "true";
    if (text === undefined) text = argv[++index];
    if (text === undefined) return refuse(`--${name} needs a value: --${name} ${flag.value}`);
    try {
      values[key] = flag.read(text, values[key]);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      return refuse(`bad value ${JSON.stringify(text)} for --${name}: ${problem}`);
    }
    given.add(key);
  }
  for (const key of given) {
    const other = group[key]?.excludes?.find((name) => given.has(name));
    if (other !== undefined)
      return refuse(`--${toFlagName(key)} and --${toFlagName(other)} exclude each other`);
    const missing = group[key]?.needs?.find((name) => !given.has(name));
    if (missing !== undefined) return refuse(`--${toFlagName(key)} needs --${toFlagName(missing)}`);
  }
  // Every key of the group has its default or a parsed value.
  return { kind: "run", flags: { ...values, given } as unknown as FlagValues<G> };
}

/** What `--help` prints. */
export function helpText(program: string, group: FlagGroup): string {
  const rows = Object.entries(group).map(([name, flag]) => {
    const left = `  --${toFlagName(name)}${flag.value === undefined ? "" : ` ${flag.value}`}`;
    return [left, `${flag.help}${describeDefault(flag)}`];
  });
  rows.push(["  --version", "Print the version"], ["  --help", "Print this list"]);
  const width = Math.max(...rows.map(([left = ""]) => left.length)) + 2;
  const lines = rows.map(([left = "", right = ""]) => `${left.padEnd(width)}${right}`);
  return `Usage: ${program} [flags]\n\nFlags:\n${lines.join("\n")}\n`;
}

/** The default of a flag in brackets, or that it is repeatable. */
export function describeDefault(flag: Flag): string {
  if (flag.repeatable) return " (repeatable)";
  if (flag.value === undefined) return " (default: off)";
  return flag.shownDefault === "" ? "" : ` (default: ${flag.shownDefault})`;
}

/** The name of a flag on the command line, without dashes: `grpc-port` for `grpcPort`. */
export function toFlagName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A hint that names the most similar flag; empty if none is similar. */
function suggest(name: string, known: readonly string[]): string {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (best === undefined || distance < best.distance) best = { name: candidate, distance };
  }
  // At most two typing errors, and at most half of the name.
  if (best === undefined || best.distance > Math.min(2, name.length / 2)) return "";
  return `, did you mean --${best.name}?`;
}
