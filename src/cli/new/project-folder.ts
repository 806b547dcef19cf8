import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { SetupError } from "../../core/errors/setup-error.ts";
import { Leftovers } from "./leftovers.ts";

/** How many names of what is in the way an error has. */
const namesShown = 10;

/** What is done in a project before it is where it belongs. */
export type Finish = (folder: string, leftovers: Leftovers) => Promise<void>;

/**
 * Writes a project into a folder that is new or empty (`.git` does not count), all of it or nothing: it is made in a
 * folder beside it, which is renamed at the end.
 *
 * @param files texts by their paths
 * @param force whether files of the same names are replaced, and others may be there
 * @throws SetupError naming what is in the way, or cannot be written
 */
export async function writeProject(
  target: string,
  files: ReadonlyMap<string, string>,
  force: boolean,
  finish: Finish,
): Promise<void> {
  const parent = dirname(target);
  if (!existsSync(parent))
    throw new SetupError(`there is no folder ${parent}: make it first, mkdir -p ${parent}`);
  const present = entriesOf(target);
  const inTheWay = present.filter((name) => name !== ".git");
  if (inTheWay.length > 0 && !force) throw occupied(target, inTheWay);
  const made = join(parent, `.${basename(target)}.new-${process.pid}`);
  using leftovers = new Leftovers(made);
  try {
    for (const [path, text] of files) {
      mkdirSync(dirname(join(made, path)), { recursive: true });
      writeFileSync(join(made, path), text);
    }
    await finish(made, leftovers);
    place(made, target, present.length > 0);
  } catch (error) {
    throw explained(error, target);
  }
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw explained(error, folder);
  }
}

/** Puts what was made where it belongs: by one rename, or entry by entry where something is there that stays. */
function place(made: string, target: string, isOccupied: boolean): void {
  const isHere = relative(target, process.cwd()) === "" || !relative(target, process.cwd()).startsWith("..");
  if (!isOccupied && !(existsSync(target) && isHere)) {
    if (process.platform === "win32") rmSync(target, { recursive: true, force: true }); // It is empty.
    renameSync(made, target);
    return;
  }
  merge(made, target);
}

/** Moves the entries of a folder into another one; folders that both have are merged. */
function merge(from: string, to: string): void {
  for (const name of readdirSync(from)) {
    const [source, target] = [join(from, name), join(to, name)];
    if (isFolder(source) && isFolder(target)) {
      if (name === "node_modules") {
        rmSync(target, { recursive: true });
        renameSync(source, target);
      } else merge(source, target);
    } else renameSync(source, target);
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function occupied(target: string, names: readonly string[]): SetupError {
  const shown = names.toSorted().slice(0, namesShown).join(", ");
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : "";
  const cure = "take a new folder, or write over it by --force";
  return new SetupError(
    `${relative(process.cwd(), target) || "this folder"} is not empty, it has ${shown}${more}: ${cure}`,
  );
}

/** What to do, by the codes of the system. */
const cures: Readonly<Record<string, string>> = {
  EACCES: "this user may not write there",
  EDQUOT: "the quota of this user is used up",
  EFBIG: "the system takes no larger files",
  ENAMETOOLONG: "the name is too long for this file system",
  ENOSPC: "the disk is full",
  ENOTDIR: "a part of the path is a file",
  EPERM: "this user may not write there",
  EROFS: "the file system takes no changes",
};

function explained(error: unknown, target: string): unknown {
  const cure = cures[codeOf(error) ?? ""];
  if (cure === undefined) return error;
  return new SetupError(`${resolve(target)} cannot be written: ${cure}`, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
