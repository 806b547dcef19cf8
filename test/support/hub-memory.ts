import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

const fixture = join(import.meta.dirname, "../long/fixtures/hub-memory.ts");

/** What a process measures that does nothing else. @param what see the fixture */
export async function hubMemoryOf(what: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", fixture, what]);
  return Number(/bytes (-?[\d.]+)/.exec(stdout)?.[1]);
}
