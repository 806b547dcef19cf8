import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { toolPath } from "../doctor/tools.ts";
import { foldersUpwards } from "../folders-upwards.ts";
import { bufModules, nameIn } from "./buf-config.ts";
import type { Finding } from "./finding.ts";

/** What buf found, and what it was not asked. */
export interface BufReport {
  readonly findings: readonly Finding[];
  /** Sentences about what was not looked at. */
  readonly skipped: readonly string[];
}

/** What buf looks at. */
export interface BufSubject {
  /** Files of protos, as the command line has them. */
  readonly protos: readonly string[];
  /** The contract that they are compared with, a descriptor set; undefined for nothing. */
  readonly against: Uint8Array | undefined;
}

/** `buf lint` and `buf breaking`, where there are buf and a `buf.yaml`. A buf that fails is a finding too. */
export async function runBuf({ protos, against }: BufSubject): Promise<BufReport> {
  const wanted = against === undefined ? "buf lint" : "buf lint and buf breaking";
  const skip = (why: string): BufReport => ({ findings: [], skipped: [`${wanted} did not run: ${why}`] });
  if (protos.length === 0) return skip("buf needs the sources, --proto FILE");
  const program = toolPath("buf", process.cwd());
  if (program === undefined) return skip("buf is not here; npm install --save-dev @bufbuild/buf");
  const folder = foldersUpwards(process.cwd()).find((at) => existsSync(join(at, "buf.yaml")));
  if (folder === undefined) return skip("there is no buf.yaml");
  const inside = protos
    .map((file) => relative(folder, resolve(file)))
    .filter((file) => !file.startsWith(".."));
  if (inside.length < protos.length) return skip(`sources are outside of ${folder}, where buf.yaml is`);
  const buf: Buf = { program, folder };
  const linted = await bufFindings(buf, ["lint", ...pathFlags(inside)]);
  if (against === undefined) return { findings: linted, skipped: [] };
  return { findings: [...linted, ...(await breakingFindings(buf, inside, against))], skipped: [] };
}

/** The program, and the folder of `buf.yaml`. */
interface Buf {
  readonly program: string;
  readonly folder: string;
}

function pathFlags(files: readonly string[]): readonly string[] {
  return files.flatMap((file) => ["--path", file]);
}

/**
 * What `buf breaking` finds in `files`, module by module. Both contracts go to it as descriptor sets: of sources it
 * wants the same modules on both sides, and folders below its own.
 *
 * @param files from the folder of `buf.yaml` on
 */
async function breakingFindings(
  { program, folder }: Buf,
  files: readonly string[],
  against: Uint8Array,
): Promise<readonly Finding[]> {
  const scratch = mkdtempSync(join(tmpdir(), "ts-ms-lint-"));
  const [older, newer] = [join(scratch, "older.binpb"), join(scratch, "newer.binpb")];
  const findings: Finding[] = [];
  try {
    writeFileSync(older, against);
    for (const { path, breaking } of bufModules(folder)) {
      const own = files.filter((file) => nameIn(path, file) !== undefined);
      if (own.length === 0) continue;
      const built = await bufFindings({ program, folder }, ["build", ...pathFlags(own), "-o", newer]);
      findings.push(...built);
      if (built.length > 0) continue;
      const config = ["--config", JSON.stringify({ version: "v2", breaking })];
      const compared = ["breaking", newer, "--against", older, "--limit-to-input-files", "--exclude-imports"];
      const broken = await bufFindings({ program, folder: join(folder, path) }, [...compared, ...config]);
      const shown = new Set(["", ...own.map((file) => relative(process.cwd(), join(folder, file)))]);
      findings.push(...broken.filter(({ file }) => shown.has(file)));
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return findings;
}

/** Exit code of buf where it has found something. */
const found = 100;

/** @param buf findings are named from its folder on */
async function bufFindings({ program, folder }: Buf, args: readonly string[]): Promise<Finding[]> {
  const child = spawn(program, [...args, "--error-format", "json"], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe"],
    shell: program.endsWith(".cmd"),
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((done, fail) => {
    child.once("error", fail);
    child.once("close", done);
  });
  if (code !== 0 && code !== found) {
    return [
      { rule: "buf", file: "", line: 0, message: `buf ${args[0]} failed: ${stderr.trim() || stdout.trim()}` },
    ];
  }
  return stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => toFinding(JSON.parse(line) as BufFinding, folder)); // As buf documents it.
}

/** A line of `--error-format json`. */
interface BufFinding {
  readonly path?: string;
  readonly start_line?: number;
  readonly type: string;
  readonly message: string;
}

function toFinding({ path, start_line: line = 0, type, message }: BufFinding, folder: string): Finding {
  const file = path === undefined ? "" : relative(process.cwd(), join(folder, path));
  return { rule: type, file, line, message };
}
