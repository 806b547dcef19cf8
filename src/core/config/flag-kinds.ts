import { accessSync, constants, statSync } from "node:fs";
import { isIPv6 } from "node:net";
import { showDuration, showSize, toDurationMs, toSizeBytes } from "./quantity-text.ts";

/** One flag of a program: how its text is parsed, and its line in the help. */
export interface Flag<T = unknown> {
  /** What it does, in a sentence without a full stop. */
  readonly help: string;
  /** Placeholder of its value in the help, such as `PORT`; undefined for flags without a value. */
  readonly value: string | undefined;
  /** The value if the flag is not given. */
  readonly default: T;
  /** The default as shown in the help; empty to show none. */
  readonly shownDefault: string;
  /** Whether it may be given more than once. */
  readonly repeatable: boolean;
  /** A second name, of one letter: `d` for `-d`. Default: none. */
  readonly short?: string;
  /** Whether the help shows `--no-` in front of it, which every flag without a value takes. Default: false. */
  readonly negatable?: boolean;
  /** Names in code of the flags that cannot be combined with it. Default: none. */
  readonly excludes?: readonly string[];
  /** Names in code of the flags without which it has no meaning. Default: none. */
  readonly needs?: readonly string[];
  /** The value after one more occurrence. @throws Error that names the allowed values. */
  read(text: string, before: T): T;
}

/** A flag whose value is any non-empty text. */
export function textFlag(value: string, byDefault: string, help: string): Flag<string> {
  return { help, value, default: byDefault, shownDefault: byDefault, repeatable: false, read: notEmpty };
}

/**
 * A flag whose value is a host name, an address (IPv6 with or without brackets), `unix:` and the path of a socket, or
 * `fd:` and the number of a listening socket that was passed to the program.
 *
 * @param portFlag The flag of the port, such as `--http-port`: the error names it if the value has a port after the
 *   host.
 */
export function hostFlag(byDefault: string, portFlag: string, help: string): Flag<string> {
  return { ...textFlag("HOST", byDefault, help), read: (text) => toHost(text, portFlag) };
}

/** A flag whose value is the path of a page, which begins with a slash. */
export function pathFlag(byDefault: string, help: string): Flag<string> {
  return {
    ...textFlag("PATH", byDefault, help),
    read(text) {
      if (!text.startsWith("/")) throw new Error("must begin with a slash");
      return text;
    },
  };
}

/** A flag whose value is any non-empty text; undefined if it is not given. */
export function optionalFlag(value: string, help: string): Flag<string | undefined> {
  return { help, value, default: undefined, shownDefault: "", repeatable: false, read: notEmpty };
}

/** A flag whose value is the path of a readable file; undefined if it is not given. */
export function fileFlag(help: string): Flag<string | undefined> {
  return { ...optionalFlag("FILE", help), read: readable };
}

/** As `fileFlag`, for several files. */
export function filesFlag(help: string): Flag<readonly string[]> {
  return { ...listFlag("FILE", help), read: (text, before) => [...before, readable(text)] };
}

/** A flag that may be given several times; its value is the list. */
export function listFlag(value: string, help: string): Flag<readonly string[]> {
  return {
    help,
    value,
    default: [],
    shownDefault: "",
    repeatable: true,
    read: (text, before) => [...before, notEmpty(text)],
  };
}

/**
 * As `listFlag`, for values that are checked.
 *
 * @param problem what is wrong with a value; undefined for a good one
 */
export function checkedListFlag(
  value: string,
  help: string,
  problem: (text: string) => string | undefined,
): Flag<readonly string[]> {
  return {
    ...listFlag(value, help),
    read(text, before) {
      const wrong = problem(notEmpty(text));
      if (wrong !== undefined) throw new Error(wrong);
      return [...before, text];
    },
  };
}

/** A flag that is off unless it is given. */
export function switchFlag(help: string): Flag<boolean> {
  return {
    help,
    value: undefined,
    default: false,
    shownDefault: "",
    repeatable: false,
    read(text) {
      if (text !== "true" && text !== "false") throw new Error("takes true, false or no value");
      return text === "true";
    },
  };
}

/**
 * A flag that is on where it is given, off where `--no-` stands in front, and undefined without either.
 *
 * @param byDefault when it is on without, such as `on with --http-port`
 */
export function eitherFlag(byDefault: string, help: string): Flag<boolean | undefined> {
  const flag = switchFlag(help);
  return {
    ...flag,
    default: undefined,
    shownDefault: byDefault,
    negatable: true,
    read: (text) => flag.read(text, false),
  };
}

/** A flag whose value is one of `choices`. */
export function choiceFlag<const T extends string>(
  choices: readonly T[],
  byDefault: T,
  help: string,
): Flag<T> {
  const value = choices.join("|");
  return {
    help,
    value,
    default: byDefault,
    shownDefault: byDefault,
    repeatable: false,
    read: oneOf(choices),
  };
}

/** As `choiceFlag`; undefined if it is not given. */
export function optionalChoiceFlag<const T extends string>(
  choices: readonly T[],
  help: string,
): Flag<T | undefined> {
  const value = choices.join("|");
  return { help, value, default: undefined, shownDefault: "", repeatable: false, read: oneOf(choices) };
}

function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return (text) => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new Error(`must be one of ${choices.join(", ")}`);
    return found;
  };
}

/** A flag whose value is a TCP port; 0 picks a free port. */
export function portFlag(byDefault: number, help: string): Flag<number> {
  const allowed = "must be a port from 0 to 65535";
  return {
    help,
    value: "PORT",
    default: byDefault,
    shownDefault: String(byDefault),
    repeatable: false,
    read: (text) => toPort(text, allowed),
  };
}

/** As `portFlag`; undefined if it is not given. */
export function optionalPortFlag(help: string): Flag<number | undefined> {
  const port = portFlag(0, help);
  return {
    help,
    value: port.value,
    default: undefined,
    shownDefault: "",
    repeatable: false,
    read: (text) => port.read(text, 0),
  };
}

/** As `portFlag`; the word `off` is allowed too. */
export function portOrOffFlag(byDefault: number | "off", help: string): Flag<number | "off"> {
  const allowed = 'must be a port from 0 to 65535 or "off"';
  return {
    help,
    value: "PORT|off",
    default: byDefault,
    shownDefault: String(byDefault),
    repeatable: false,
    read: (text) => (text === "off" ? "off" : toPort(text, allowed)),
  };
}

/** A flag whose value is a whole number, 0 or more. */
export function countFlag(byDefault: number, help: string): Flag<number> {
  return {
    help,
    value: "NUMBER",
    default: byDefault,
    shownDefault: String(byDefault),
    repeatable: false,
    read: toCount,
  };
}

/** A flag whose text is a duration such as `250ms`, `5s`, `1.5s` or `2m`; its value is in milliseconds. */
export function durationFlag(byDefaultMs: number, help: string): Flag<number> {
  return {
    help,
    value: "DURATION",
    default: byDefaultMs,
    shownDefault: showDuration(byDefaultMs),
    repeatable: false,
    read: toDurationMs,
  };
}

/** A flag whose text is a size such as `4096`, `64KiB` or `1MiB`, at least one byte; its value is in bytes. */
export function sizeFlag(byDefaultBytes: number, help: string): Flag<number> {
  return {
    help,
    value: "SIZE",
    default: byDefaultBytes,
    shownDefault: showSize(byDefaultBytes),
    repeatable: false,
    read: toSizeBytes,
  };
}

function toCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error("must be a whole number from 0 to 999999999");
  return Number(text);
}

function notEmpty(text: string): string {
  if (text === "") throw new Error("must not be empty");
  return text;
}

function readable(path: string): string {
  let isFolder: boolean;
  try {
    accessSync(notEmpty(path), constants.R_OK);
    isFolder = statSync(path).isDirectory();
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot be read: ${problem}`, { cause });
  }
  if (isFolder) throw new Error("is a folder, not a file");
  return path;
}

function toHost(text: string, portFlag: string): string {
  if (/^unix:.|^fd:\d+$/s.test(text)) return text;
  const inBrackets = /^\[(.*)\](?::(\d+))?$/s.exec(text);
  const ipv6 = inBrackets?.[1] ?? text;
  if (isIPv6(ipv6) && inBrackets?.[2] === undefined) return ipv6;
  const [, host = ipv6, port] = /^([^:/\s[\]]+):(\d+)$/.exec(text) ?? [undefined, undefined, inBrackets?.[2]];
  if (port !== undefined)
    throw new Error(`the port goes into a flag of its own: ${host}, ${portFlag} ${port}`);
  if (!/^[^:/\s[\]]+$/.test(text)) {
    throw new Error("must be a host name, an address, unix:PATH or fd:NUMBER, without scheme, port and path");
  }
  return text;
}

function toPort(text: string, allowed: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new Error(allowed);
  return port;
}
