import { spawn } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { toolPath } from "../doctor/tools.ts";
import { foldersUpwards } from "../folders-upwards.ts";
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
  /** What the contracts are compared with: a file or a folder; undefined for nothing. */
  readonly against: string | undefined;
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
  const paths = inside.flatMap((file) => ["--path", file]);
  const findings = await bufFindings(program, folder, ["lint", ...paths]);
  if (against === undefined) return { findings, skipped: [] };
  // Paths of a set are those of imports, in which buf finds none of the files: it looks at all, and the others go here.
  const isSet =
    !against.endsWith(".proto") && statSync(against, { throwIfNoEntry: false })?.isFile() === true;
  const broken = await bufFindings(program, folder, [
    "breaking",
    "--against",
    resolve(against),
    ...(isSet ? [] : paths),
  ]);
  const named = new Set(["", ...inside.map((file) => relative(process.cwd(), join(folder, file)))]);
  return { findings: [...findings, ...broken.filter(({ file }) => named.has(file))], skipped: [] };
}

/** Exit code of buf where it has found something. */
const found = 100;

async function bufFindings(program: string, cwd: string, args: readonly string[]): Promise<Finding[]> {
  const child = spawn(program, [...args, "--error-format", "json"], {
    cwd,
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
    .map((line) => toFinding(JSON.parse(line) as BufFinding, cwd)); // As buf documents it.
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
