import { ownVersion } from "./own-version.ts";
import { editDistance } from "../errors/nearest-name.ts";
import type { Flag } from "./flag-kinds.ts";

/** An argument of a command line that is no flag; its meaning is that of its place. */
export interface Positional {
  /** How the help names it, such as `TARGET`. */
  readonly name: string;
  /** What it is, in a sentence without a full stop. */
  readonly help: string;
  /** Whether it may be left out; only others that may be left out can follow. Default: false. */
  readonly isOptional?: boolean;
  /** Whether any number of arguments may stand in its place, which is the last one. Default: false. */
  readonly isRepeatable?: boolean;
  /** The only values that it may have. Default: any. */
  readonly choices?: readonly string[];
}

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
  | { readonly kind: "run"; readonly flags: FlagValues<G>; readonly args: readonly string[] }
  | { readonly kind: "print"; readonly text: string; readonly isHelp: boolean }
  | { readonly kind: "refuse"; readonly text: string };

/** Exit code for an invalid command line. */
const usageError = 2;

/**
 * The values of the flags in `argv`.
 *
 * One or two dashes, `--flag value` or `--flag=value`; `--no-flag` turns off a flag that takes no value. The last value of
 * a flag that is not repeatable wins. For `--help` and `--version` it prints to standard output and exits with code 0; for
 * invalid arguments it prints an error that names the argument to standard error and exits with code 2.
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

/**
 * As `parseFlags`, but only parses: prints nothing and does not exit.
 *
 * @param positionals Arguments besides flags, in any place between them; after `--` every argument is one of them.
 *   Default: none.
 */
export function readCommandLine<G extends FlagGroup>(
  program: string,
  group: G,
  argv: readonly string[],
  positionals: readonly Positional[] = [],
): CommandLine<G> {
  const names = flagNames(group);
  const values: Record<string, unknown> = {};
  for (const [name, flag] of Object.entries(group)) values[name] = flag.default;
  const given = new Set<string>();
  const args: string[] = [];
  const refuse = (problem: string): CommandLine<G> => ({
    kind: "refuse",
    text: `${program}: ${problem}\nRun with --help to see all flags.\n`,
  });

  let isOver = false;
  for (let index = 0; index < argv.length; index++) {
    const argument = argv[index] ?? "";
    if (argument === "--" && !isOver) {
      isOver = positionals.length > 0; // Package managers forward it to programs that have flags only.
      continue;
    }
    const match = isOver ? null : /^--?([a-zA-Z][^=]*)(?:=(.*))?$/s.exec(argument);
    if (match === null) {
      const isFlag = !isOver && /^-./s.test(argument);
      if (isFlag || positionals.length === 0)
        return refuse(`unexpected argument ${JSON.stringify(argument)}`);
      args.push(argument);
      continue;
    }
    const name = match[1] ?? "";
    if (name === "help" || name === "h") {
      return { kind: "print", text: helpText(program, group, positionals), isHelp: true };
    }
    if (name === "version") return { kind: "print", text: `ts-ms ${ownVersion()}\n`, isHelp: false };
    const { key, isNegated } = keyNamed(name, group, names);
    const flag = key === undefined ? undefined : group[key];
    if (flag === undefined || key === undefined) {
      return refuse(`unknown flag --${name}${suggest(name, [...names.keys(), "help", "version"])}`);
    }
    let text = match[2];
    if (isNegated && text !== undefined)
      return refuse(`--${name} takes no value: give --${toFlagName(key)}=${text}`);
    if (text === undefined && flag.value === undefined) text = String(!isNegated);
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
  const problem = whyNotTogether(group, given) ?? whyNotPlaced(args, positionals);
  if (problem !== undefined) return refuse(problem);
  // Every key of the group has its default or a parsed value.
  return { kind: "run", flags: { ...values, given } as unknown as FlagValues<G>, args };
}

/** The keys of a group by the names that the command line has for them. */
function flagNames(group: FlagGroup): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const [key, { short }] of Object.entries(group)) {
    names.set(toFlagName(key), key);
    if (short !== undefined) names.set(short, key);
  }
  return names;
}

/** The key that a name on the command line means, which `no-` in front of that of a switch negates. */
function keyNamed(
  name: string,
  group: FlagGroup,
  names: ReadonlyMap<string, string>,
): { readonly key: string | undefined; readonly isNegated: boolean } {
  const key = names.get(name);
  if (key !== undefined || !name.startsWith("no-")) return { key, isNegated: false };
  const negated = names.get(name.slice("no-".length));
  const isSwitch = negated !== undefined && group[negated]?.value === undefined;
  return { key: isSwitch ? negated : undefined, isNegated: isSwitch };
}

function whyNotTogether(group: FlagGroup, given: ReadonlySet<string>): string | undefined {
  for (const key of given) {
    const other = group[key]?.excludes?.find((name) => given.has(name));
    if (other !== undefined) return `--${toFlagName(key)} and --${toFlagName(other)} exclude each other`;
    const missing = group[key]?.needs?.find((name) => !given.has(name));
    if (missing !== undefined) return `--${toFlagName(key)} needs --${toFlagName(missing)}`;
  }
  return undefined;
}

function whyNotPlaced(args: readonly string[], positionals: readonly Positional[]): string | undefined {
  const missing = positionals.find(({ isOptional }, index) => isOptional !== true && index >= args.length);
  if (missing !== undefined) return `${missing.name} is missing: ${missing.help}`;
  for (const [index, argument] of args.entries()) {
    const last = positionals.at(-1);
    const place = positionals[index] ?? (last?.isRepeatable === true ? last : undefined);
    if (place === undefined) return `unexpected argument ${JSON.stringify(argument)}`;
    const { choices } = place;
    if (choices !== undefined && !choices.includes(argument)) {
      const hint = nearest(argument, choices);
      const meant = hint === undefined ? "" : `, did you mean ${hint}?`;
      return `${place.name} must be one of ${choices.join(", ")}, not ${JSON.stringify(argument)}${meant}`;
    }
  }
  return undefined;
}

/** What `--help` prints. */
export function helpText(program: string, group: FlagGroup, positionals: readonly Positional[] = []): string {
  const flags = Object.entries(group).map(([name, flag]) => {
    return [`  ${flagUsage(name, flag)}`, `${flag.help}${describeDefault(flag)}`] as const;
  });
  const rows = [...flags, ["  --version", "Print the version"], ["  --help", "Print this list"]] as const;
  const places = positionals.map(({ name, help }) => [`  ${name}`, help] as const);
  const width = Math.max(...[...rows, ...places].map(([left]) => left.length)) + 2;
  const lines = (of: readonly (readonly [string, string])[]): string =>
    of.map(([left, right]) => `${left.padEnd(width)}${right}\n`).join("");
  const usage = [program, ...positionals.map(usageOf), "[flags]"].join(" ");
  const args = places.length === 0 ? "" : `\nArguments:\n${lines(places)}`;
  return `Usage: ${usage}\n${args}\nFlags:\n${lines(rows)}`;
}

/** An argument as the line of usage has it: `TARGET`, `[RPC]`, `[FILE…]`. */
export function usageOf({ name, isOptional, isRepeatable }: Positional): string {
  const text = `${name}${isRepeatable === true ? "…" : ""}`;
  return isOptional === true ? `[${text}]` : text;
}

/** How a flag is given: `--grpc-port PORT`, `-d, --data JSON`, `--[no-]openapi`. */
export function flagUsage(key: string, { short, value, negatable }: Flag): string {
  const also = short === undefined ? "" : `-${short}, `;
  const no = negatable === true ? "[no-]" : "";
  return `${also}--${no}${toFlagName(key)}${value === undefined ? "" : ` ${value}`}`;
}

/** The default of a flag in brackets, or that it is repeatable. */
export function describeDefault(flag: Flag): string {
  if (flag.repeatable) return " (repeatable)";
  const { value, shownDefault } = flag;
  if (shownDefault === "") return value === undefined ? " (default: off)" : "";
  return ` (default: ${shownDefault})`;
}

/** The name of a flag on the command line, without dashes: `grpc-port` for `grpcPort`. */
export function toFlagName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** A hint that names the most similar flag; empty if none is similar. */
function suggest(name: string, known: readonly string[]): string {
  const best = nearest(name, known);
  return best === undefined ? "" : `, did you mean --${best}?`;
}

/** The most similar of the names of a command line; undefined if none is similar. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  let best: { readonly name: string; readonly distance: number } | undefined;
  for (const candidate of known) {
    const distance = editDistance(name, candidate);
    if (best === undefined || distance < best.distance) best = { name: candidate, distance };
  }
  // At most two typing errors, and at most half of the name.
  return best === undefined || best.distance > Math.min(2, name.length / 2) ? undefined : best.name;
}
