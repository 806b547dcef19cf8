/**
 * `npm run check`: everything that can be said of the project without running it, a line for each step.
 *
 * The first step that fails prints what it has to say and ends the check. `npm run fix` (`--fix`) repairs what a
 * machine can repair: it generates, formats and applies the linter's safe fixes.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-check-"));
process.on("exit", () => rmSync(scratch, { recursive: true, force: true }));

const tool = (path) => join(root, "node_modules", path);
const buf = tool("@bufbuild/buf/bin/buf");
const oxfmt = tool("oxfmt/bin/oxfmt");
const oxlint = tool("oxlint/bin/oxlint");
/** Each checker works out the types that all files use: more of them than processors cost a third more time. */
const checkers = Math.min(Number(process.env.GOMAXPROCS) || availableParallelism(), 4);
const tsc = [tool("typescript/bin/tsc"), "--checkers", String(checkers), "-p"];
const types = join(root, ".cache/types.tsbuildinfo");
/** Contracts of other projects stay as they came. */
const ownProtos = ["buf", "google", "grpc"].flatMap((name) => ["--exclude-path", `proto/${name}`]);

/** A step: Node's arguments that check, a comparison to make after them, and Node's arguments that repair. */
const steps = [
  {
    name: "generated code is current",
    check: ["tools/generate.js", scratch],
    compare: () => differences("gen") ?? differences("deploy", (name) => name.endsWith(".gen.yaml")),
    fix: ["tools/generate.js"],
  },
  { name: "buf lint", check: [buf, "lint"] },
  {
    name: "format of protos",
    check: [buf, "format", "-d", "--exit-code", ...ownProtos],
    fix: [buf, "format", "-w", ...ownProtos],
  },
  { name: "format", check: [oxfmt, "--check"], fix: [oxfmt] },
  { name: "lint", check: [oxlint], fix: [oxlint, "--fix"] },
  {
    name: "types",
    // Remembers what it has seen, by hashes of files and options, from one run to the next.
    check: [...tsc, ".", "--incremental", "--tsBuildInfoFile", types],
  },
  {
    name: "types of the console",
    check: [...tsc, "src/gateway/faces/docs/page"],
  },
  {
    name: "types of the playground",
    check: [...tsc, "src/gateway/faces/graphql/page"],
  },
  { name: "import arrows", check: ["--test", "test/project/imports.test.ts"] },
  { name: "unused code", check: [tool("knip/bin/knip.js")] },
];

const fixing = process.argv.includes("--fix");
for (const step of steps) {
  const args = fixing ? step.fix : step.check;
  if (args === undefined) continue;
  const started = performance.now();
  const complaint = (await run(args)) ?? (fixing ? undefined : step.compare?.());
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${complaint === undefined ? "ok  " : "FAIL"} ${step.name} (${seconds} s)`);
  if (complaint === undefined) continue;
  console.error(complaint);
  console.error(
    `\nThe check stopped at: ${step.name}.${step.fix && !fixing ? " `npm run fix` may repair it." : ""}`,
  );
  process.exit(1);
}

/** Runs Node with these arguments; resolves with the output when it fails, else with undefined. */
function run(args) {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code === 0 ? undefined : output));
  });
}

/** The files by which what is committed and what was made anew differ, a line each; undefined when there is none. */
function differences(folder, isMade = () => true) {
  const names = (place) =>
    readdirSync(join(place, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && isMade(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(place.length + 1));
  const [old, current] = [names(root), names(scratch)];
  const lines = [
    ...old.filter((name) => !current.includes(name)).map((name) => `left over, no proto makes it: ${name}`),
    ...current.filter((name) => !old.includes(name)).map((name) => `missing: ${name}`),
    ...current
      .filter((name) => old.includes(name))
      .filter((name) => !readFileSync(join(root, name)).equals(readFileSync(join(scratch, name))))
      .map((name) => `out of date: ${name}`),
  ];
  return lines.length === 0 ? undefined : lines.join("\n");
}
