import { type AccessLevel, accessLevels } from "../../core/admission/access-level.ts";
import { checkOptions, show } from "../../core/config/check-options.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** A folder whose files are served. */
export interface StaticFolder {
  /** What the paths of its files begin with, such as `/assets/`. Of several folders the longest one counts. */
  readonly prefix: string;
  /** The folder. */
  readonly dir: string;
  /**
   * File of the folder that pages are answered with which it does not have, such as `index.html`, for programs that run
   * in the browser and have paths of their own. Asked for by `Accept: text/html`. Default: none.
   */
  readonly fallback: string | undefined;
  /** How long clients may keep a file without asking again, in milliseconds. Default: 0. */
  readonly maxAgeMs: number;
  /** Pattern of the files that never change, such as `assets/**`: clients keep these for a year. Default: none. */
  readonly immutable: string | undefined;
  /**
   * Who may have the files: every client, whose credentials are not looked at (`public`), every client without bad credentials
   * (`optional`), clients that are known (`authenticated`), no client (`deny`). Default: `public`.
   */
  readonly access: AccessLevel;
}

/** Defaults of `StaticFolder`; `prefix` and `dir` must be given. */
export const staticFolderDefaults: Omit<StaticFolder, "prefix" | "dir"> = Object.freeze({
  fallback: undefined,
  maxAgeMs: 0,
  immutable: undefined,
  access: "public",
});

/** What a folder is given as. */
export type StaticFolderInit = Pick<StaticFolder, "prefix" | "dir"> & Partial<StaticFolder>;

/** What pages are made of. */
export interface PagesOptions {
  /** Folders whose files are served. Default: none. */
  readonly static: readonly StaticFolderInit[];
  /** Folder of the templates, files that end in `.eta`. Default: none. */
  readonly templates: string | undefined;
}

/** Defaults of `PagesOptions`. */
export const pagesDefaults: PagesOptions = Object.freeze({ static: [], templates: undefined });

/** @throws SetupError naming the option that cannot be used */
export function checkPagesOptions(given: Partial<PagesOptions>): {
  readonly folders: readonly StaticFolder[];
  readonly templates: string | undefined;
} {
  checkOptions<PagesOptions>("openPages", given, pagesDefaults);
  const { static: list, templates } = { ...pagesDefaults, ...given };
  const folders = list.map((folder, index) => checkFolder(folder, `static[${index}]`));
  for (const [index, { prefix }] of folders.entries()) {
    if (folders.findIndex((other) => other.prefix === prefix) < index) {
      throw new SetupError(`openPages: static[${index}]: the prefix ${prefix} is that of another folder`);
    }
  }
  return { folders, templates };
}

function checkFolder(given: StaticFolderInit, place: string): StaticFolder {
  const fail = (option: string, problem: string, value: unknown): never => {
    throw new SetupError(`openPages: ${place}: the option ${option} ${problem}, not ${show(value)}`);
  };
  checkOptions(`openPages: ${place}`, given, { ...staticFolderDefaults, prefix: "", dir: "" });
  const folder: StaticFolder = { ...staticFolderDefaults, ...given };
  const { prefix, dir, fallback, maxAgeMs, immutable, access } = folder;
  const slashed = typeof prefix === "string" && !prefix.endsWith("/") ? `${prefix}/` : prefix;
  if (typeof slashed !== "string" || !/^\/(?:[A-Za-z\d_~-][A-Za-z\d._~-]*\/)*$/.test(slashed)) {
    fail("prefix", "must be a path such as /assets/, of letters, digits and - . _ ~", prefix);
  }
  if (typeof dir !== "string" || dir === "") fail("dir", "must be a folder", dir);
  for (const [name, text] of [["fallback", fallback] as const, ["immutable", immutable] as const]) {
    const isRelative = text === undefined || (text !== "" && !/^\/|\\|(?:^|\/)\./.test(text));
    if (!isRelative)
      fail(name, "must be a path within the folder, without dots at the beginning of names", text);
  }
  if (!Number.isSafeInteger(maxAgeMs) || maxAgeMs < 0)
    fail("maxAgeMs", "must be a whole number from 0", maxAgeMs);
  if (!accessLevels.includes(access)) {
    fail("access", `must be one of ${accessLevels.join(", ")}`, access);
  }
  return { ...folder, prefix: slashed };
}
