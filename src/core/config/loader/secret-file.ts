import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** The largest secret. */
const mostBytes = 64 * 1024;

const othersMayWrite = 0o002;
const othersMayRead = 0o004;

/** A secret, and what is doubtful about its file. */
export interface SecretFile {
  readonly text: string;
  readonly warning: string | undefined;
}

/**
 * The text of a secret file, without one final newline.
 *
 * @throws Error that names the file: it cannot be read, is too large, or others may write it
 */
export function readSecretFile(path: string): SecretFile {
  const { bytes, mode } = readLimited(path, mostBytes, "secret file");
  if ((mode & othersMayWrite) !== 0) {
    throw new Error(`the secret file ${path} is refused: everybody may write it (chmod o-w ${path})`);
  }
  return {
    text: bytes.toString("utf8").replace(/\r?\n$/, ""),
    warning:
      (mode & othersMayRead) === 0
        ? undefined
        : `everybody on this machine may read the secret file ${path} (chmod o-r ${path})`,
  };
}

/**
 * The content of a file of limited size; no more of it is read.
 *
 * @param what it is, for errors: `secret file`
 * @throws Error that names the file
 */
export function readLimited(
  path: string,
  most: number,
  what: string,
): { readonly bytes: Buffer; readonly mode: number } {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    throw new Error(`the ${what} ${path} cannot be read: ${reasonOf(cause)}`, { cause });
  }
  try {
    const stat = fstatSync(file);
    if (stat.isDirectory()) throw new Error(`the ${what} ${path} is a folder`);
    if (stat.size > most) throw tooLarge(path, most, what);
    const bytes = Buffer.allocUnsafe(most + 1);
    let length = 0;
    // The file may be longer by now than it was.
    for (;;) {
      const count = readSync(file, bytes, length, bytes.length - length, null);
      length += count;
      if (count === 0 || length === bytes.length) break;
    }
    if (length > most) throw tooLarge(path, most, what);
    return { bytes: bytes.subarray(0, length), mode: stat.mode };
  } finally {
    closeSync(file);
  }
}

function tooLarge(path: string, most: number, what: string): Error {
  return new Error(`the ${what} ${path} is larger than ${most / 1024} KiB`);
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES") return "this user may not read it";
  return cause instanceof Error ? cause.message : String(cause);
}
