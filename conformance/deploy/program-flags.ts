import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const known = new Map<string, Promise<ReadonlySet<string>>>();

/** The flags of a program of `examples/`, by what its `--help` prints. */
export function flagsOf(program: string): Promise<ReadonlySet<string>> {
  let flags = known.get(program);
  if (flags === undefined) {
    flags = askedFlags(program);
    known.set(program, flags);
  }
  return flags;
}

async function askedFlags(program: string): Promise<ReadonlySet<string>> {
  const { stdout } = await run(process.execPath, [join(root, `examples/${program}.ts`), "--help"]);
  return new Set(stdout.match(/--[a-z][a-z0-9-]*/g));
}
