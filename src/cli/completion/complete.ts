import type { Flag } from "../../core/config/flag-kinds.ts";
import { type FlagGroup, readCommandLine, toFlagName } from "../../core/config/flags.ts";
import type { Command, CommandEntry } from "../command.ts";
import type { Candidate, Completion } from "./candidates.ts";
import type { shells } from "./scripts.ts";

/** How long the reflection of the target in a line may take, in milliseconds: a key has been pressed. */
const reflectionMs = 300;
const nothing: Completion = { candidates: [] };

/**
 * Prints what may stand in place of the last word of a line.
 *
 * @param words those behind `ts-ms`; for bash the whole line until the cursor, since it takes words apart at colons
 */
export async function printCompletion(
  commands: readonly CommandEntry[],
  shell: (typeof shells)[number],
  words: readonly string[],
): Promise<void> {
  const [line = ""] = words;
  const all = shell === "bash" ? splitLine(line).slice(1) : words;
  const current = all.at(-1) ?? "";
  const { candidates, paths } = await complete(commands, all);
  const found = candidates.filter(({ word }) => word.startsWith(current));
  const lines = found.map((candidate) => inShell(shell, candidate, current));
  if (paths !== undefined) lines.push(`:${paths}`);
  if (found.length > 0 && found.every(({ word }) => /[=.]$/.test(word))) lines.push(":nospace");
  process.stdout.write(lines.map((text) => `${text}\n`).join(""));
}

/**
 * What may stand in place of the last word.
 *
 * @param words those behind `ts-ms`
 * @param maxMs how long the reflection of the target in the line may take, in milliseconds; nothing comes of it then.
 *   Default: 300.
 */
export async function complete(
  commands: readonly CommandEntry[],
  words: readonly string[],
  maxMs = reflectionMs,
): Promise<Completion> {
  const [name = "", ...rest] = words;
  if (words.length <= 1) {
    const list = commands.map((command) => ({ word: command.name, meaning: command.summary }));
    return { candidates: [...list, { word: "help", meaning: "Print the help of a command" }] };
  }
  if (name === "help")
    return { candidates: commands.map((one) => ({ word: one.name, meaning: one.summary })) };
  const entry = commands.find((command) => command.name === name);
  if (entry === undefined) return nothing;
  const { command } = await entry.load();
  return completeArguments(command, rest, maxMs);
}

async function completeArguments(
  command: Command,
  words: readonly string[],
  maxMs: number,
): Promise<Completion> {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const waiting = flagOf(command.flags, before.at(-1));
  if (waiting?.value !== undefined) return valuesOf(waiting, "");
  const [, assigned] = /^(--?[\w-]+)=/.exec(current) ?? [];
  const flag = flagOf(command.flags, assigned);
  if (assigned !== undefined && flag !== undefined) return valuesOf(flag, `${assigned}=`);
  if (current.startsWith("-")) return { candidates: flagNames(command.flags) };
  return positional(command, before, current, maxMs);
}

function flagOf(flags: FlagGroup, word: string | undefined): Flag | undefined {
  const [, name] = /^--?([\w-]+)$/.exec(word ?? "") ?? [];
  if (name === undefined) return undefined;
  return Object.entries(flags).find(([key, { short }]) => toFlagName(key) === name || short === name)?.[1];
}

function flagNames(flags: FlagGroup): readonly Candidate[] {
  const own = Object.entries(flags).flatMap(([key, { help, negatable }]) => [
    { word: `--${toFlagName(key)}`, meaning: help },
    ...(negatable === true ? [{ word: `--no-${toFlagName(key)}`, meaning: help }] : []),
  ]);
  return [...own, { word: "--help", meaning: "Print all arguments and flags" }];
}

/** The values of a flag by its placeholder: words of a choice, files, folders. */
function valuesOf({ value = "" }: Flag, prefix: string): Completion {
  const words = value.split("|").filter((word) => /^[a-z][\w-]*$/.test(word));
  const candidates = words.map((word) => ({ word: prefix + word, meaning: "" }));
  if (/\bFILE\b/.test(value)) return { candidates, paths: "files" };
  return /\bDIR\b/.test(value) ? { candidates, paths: "folders" } : { candidates };
}

/** The word of an argument: one of its choices, a path, or a name of the contracts that the line names. */
async function positional(
  command: Command,
  before: readonly string[],
  current: string,
  maxMs: number,
): Promise<Completion> {
  const line = readCommandLine("ts-ms", command.flags, before, [
    { name: "", help: "", isOptional: true, isRepeatable: true },
  ]);
  if (line.kind !== "run") return nothing;
  const { positionals } = command;
  const last = positionals.at(-1);
  const place = positionals[line.args.length] ?? (last?.isRepeatable === true ? last : undefined);
  if (place === undefined) return nothing;
  if (place.choices !== undefined)
    return { candidates: place.choices.map((word) => ({ word, meaning: "" })) };
  if (place.name === "DIR") return { candidates: [], paths: "folders" };
  if (place.name === "FILE") return { candidates: [], paths: "files" };
  if (place.name !== "RPC" && place.name !== "FIELD=VALUE") return nothing;
  const { completeCall } = await import("./complete-call.ts");
  try {
    return await completeCall({ before, args: line.args, current, maxMs });
  } catch {
    return nothing; // The line is not yet what it will be.
  }
}

/** The words of a line, without quotes and backslashes; the last one is empty behind a space. */
export function splitLine(line: string): string[] {
  const words = [""];
  let quote = "";
  for (let index = 0; index < line.length; index++) {
    const letter = line[index] ?? "";
    const last = words.length - 1;
    if (quote !== "") {
      if (letter === quote) quote = "";
      else words[last] += letter;
    } else if (letter === "'" || letter === '"') quote = letter;
    else if (letter === "\\") words[last] += line[++index] ?? "";
    else if (letter !== " ") words[last] += letter;
    else if (words[last] !== "" || index === 0) words.push("");
  }
  return words;
}

/** A candidate as its shell takes it. */
function inShell(shell: (typeof shells)[number], { word, meaning }: Candidate, current: string): string {
  switch (shell) {
    case "bash":
      // Bash replaces what is behind the last of these characters.
      return word.slice(Math.max(current.lastIndexOf(":"), current.lastIndexOf("=")) + 1);
    case "zsh":
      return `${word.replaceAll(":", "\\:")}${meaning === "" ? "" : `:${meaning}`}`;
    case "fish":
      return meaning === "" ? word : `${word}\t${meaning}`;
  }
}
