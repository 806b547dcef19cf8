import { existsSync, readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { SetupError } from "../../core/errors/setup-error.ts";
import { ownPackage } from "../../core/config/own-version.ts";
import { foldersUpwards } from "../folders-upwards.ts";
import { type Finding, timed, type TimedFinding } from "./findings.ts";
import { copiesOf, installedCopy, satisfies } from "./package-copies.ts";
import { portOwner } from "./port-owner.ts";
import { runTool, toolPath } from "./tools.ts";

type Found = Omit<Finding, "name">;

/** Packages of which one copy has to be enough: their objects are compared by their classes. */
const single = ["@bufbuild/protobuf", "@connectrpc/connect", "graphql"];

/** The default ports of the programs. */
const ports = { "HTTP 8080": 8080, "gRPC 42001": 42_001, "metrics 4242": 4242 };

/** The folder of a project and what its package.json says. */
interface Project {
  readonly folder: string;
  readonly manifest: Readonly<Record<string, unknown>>;
}

/**
 * Looks at the project of a folder.
 *
 * @param fix whether missing packages are installed and code that is out of date is generated
 * @throws SetupError if no folder from here up has a package.json
 */
export async function checkProject(from: string, fix: boolean): Promise<readonly TimedFinding[]> {
  const project = findProject(from);
  const { folder } = project;
  return [
    await timed("node", async () => nodeFinding()),
    await timed("module type", async () => moduleFinding(project)),
    await timed("types", async () => typesFinding(folder)),
    await timed("packages", () =>
      fixing(
        fix,
        () => packagesFinding(project),
        () => runTool("npm", ["install"], folder),
      ),
    ),
    await timed("copies", async () => copiesFinding(folder)),
    await timed("buf", () => bufFinding(folder)),
    await timed("gen", () =>
      fixing(
        fix,
        () => ageFinding(folder, "gen"),
        () => runTool("buf", ["generate"], folder),
      ),
    ),
    await timed("gen/contract.binpb", () =>
      fixing(
        fix,
        () => ageFinding(folder, "gen/contract.binpb"),
        () => runTool("buf", ["build", "-o", "gen/contract.binpb"], folder),
      ),
    ),
    ...(await Promise.all(Object.entries(ports).map(([name, port]) => timed(name, () => portFinding(port))))),
  ];
}

function findProject(from: string): Project {
  const folder = foldersUpwards(from).find((at) => existsSync(join(at, "package.json")));
  if (folder === undefined) {
    throw new SetupError(`there is no package.json in ${from} or above: ts-ms new DIR makes a project`);
  }
  const file = join(folder, "package.json");
  try {
    return { folder, manifest: JSON.parse(readFileSync(file, "utf8")) as Project["manifest"] };
  } catch (cause) {
    throw new SetupError(`${file} is no JSON`, { cause });
  }
}

/** Looks, and where something is wrong and may be cured, cures and looks again. */
async function fixing(fix: boolean, look: () => Promise<Found>, cure: () => Promise<void>): Promise<Found> {
  const found = await look();
  if (!fix || found.state === "ok") return found;
  await cure();
  const after = await look();
  return after.state === "ok" ? { ...after, text: `${after.text}, after a fix` } : after;
}

function nodeFinding(): Found {
  const strips = process.features.typescript !== false;
  const text = `${process.versions.node}, ${strips ? "runs TypeScript" : "does not run TypeScript"}`;
  if (strips) return { state: "ok", text };
  return { state: "warn", text, cure: "leave --no-strip-types out of NODE_OPTIONS, or compile before" };
}

function moduleFinding({ folder, manifest }: Project): Found {
  if (manifest["type"] === "module") return { state: "ok", text: '"type": "module"' };
  return {
    state: "warn",
    text: `${join(folder, "package.json")} has no "type": "module"; Node parses each .ts file twice`,
    cure: 'npm pkg set type="module"',
  };
}

function typesFinding(folder: string): Found {
  const file = join(folder, "tsconfig.json");
  if (!existsSync(file)) return { state: "ok", text: "no tsconfig.json: types are not checked" };
  const text = readFileSync(file, "utf8");
  if (text.includes('"extends"')) return { state: "ok", text: "tsconfig.json extends another" };
  const missing = ["erasableSyntaxOnly", "verbatimModuleSyntax"].filter(
    (option) => !new RegExp(`"${option}"\\s*:\\s*true`).test(text),
  );
  if (missing.length === 0) return { state: "ok", text: "tsconfig.json allows what Node runs" };
  return {
    state: "warn",
    text: `tsconfig.json allows TypeScript that Node cannot run: ${missing.join(", ")} is not set`,
    cure: `add ${missing.map((option) => `"${option}": true`).join(", ")} to compilerOptions`,
  };
}

async function packagesFinding({ folder, manifest }: Project): Promise<Found> {
  const wanted = Object.keys({ ...listOf(manifest["dependencies"]), ...listOf(manifest["devDependencies"]) });
  const missing = wanted.filter((name) => installedCopy(folder, name) === undefined);
  if (missing.length > 0) {
    return { state: "broken", text: `not installed: ${missing.join(", ")}`, cure: "npm install" };
  }
  const { peerDependencies, peerDependenciesMeta } = ownPackage();
  const wrong: string[] = [];
  const absent: string[] = [];
  for (const [name, range] of Object.entries(peerDependencies)) {
    const copy = installedCopy(folder, name);
    if (copy === undefined) (peerDependenciesMeta[name]?.optional === true ? absent : wrong).push(name);
    else if (!satisfies(copy.version, range)) wrong.push(`${name}@${range} (there is ${copy.version})`);
  }
  if (wrong.length > 0) {
    const names = wrong.map((name) => `"${name.replace(/ \(.*/, "")}"`).join(" ");
    return { state: "broken", text: `ts-ms needs ${wrong.join(", ")}`, cure: `npm install ${names}` };
  }
  const optional =
    absent.length === 0 ? "" : `; not there, for features that need them: ${absent.join(", ")}`;
  return { state: "ok", text: `${wanted.length} installed${optional}` };
}

function copiesFinding(folder: string): Found {
  const several = single
    .map((name) => [name, copiesOf(folder, name)] as const)
    .filter(([, all]) => all.length > 1);
  if (several.length === 0) return { state: "ok", text: `one of each: ${single.join(", ")}` };
  const lines = several.map(
    ([name, all]) =>
      `${name}: ${all.map(({ path, version }) => `${relative(folder, path)} (${version})`).join(", ")}`,
  );
  const isBroken = several.some(([, all]) => new Set(all.map(({ version }) => version)).size > 1);
  return {
    state: isBroken ? "broken" : "warn",
    text: `several copies of ${lines.join("; ")}`,
    cure: `npm dedupe, or npm install ${several.map(([name]) => `${name}@latest`).join(" ")}`,
  };
}

async function bufFinding(folder: string): Promise<Found> {
  const path = toolPath("buf", folder);
  if (path !== undefined) return { state: "ok", text: relative(folder, path) };
  if (!existsSync(join(folder, "buf.gen.yaml")))
    return { state: "ok", text: "not there, and no buf.gen.yaml needs it" };
  return {
    state: "broken",
    text: "not there, and buf.gen.yaml needs it",
    cure: "npm install --save-dev @bufbuild/buf @bufbuild/protoc-gen-es",
  };
}

/** Whether what is made of `proto/` is newer than that. */
async function ageFinding(folder: string, made: string): Promise<Found> {
  const sources = await newest(join(folder, "proto"), ".proto");
  if (sources === 0) return { state: "ok", text: "there is no proto/" };
  const result = existsSync(join(folder, made)) ? await newest(join(folder, made), "") : 0;
  const cure = made === "gen" ? "npx buf generate" : `npx buf build -o ${made}`;
  if (result >= sources) return { state: "ok", text: "newer than proto/" };
  if (result === 0 && made !== "gen") return { state: "ok", text: "not there: documents have no comments" };
  if (result === 0 && !existsSync(join(folder, "buf.gen.yaml")))
    return { state: "ok", text: "no code is generated" };
  const what = result === 0 ? "not there" : "older than proto/";
  return { state: "broken", text: what, cure };
}

/** When the newest file of a folder, or the file itself, has changed; 0 for none. */
async function newest(path: string, ending: string): Promise<number> {
  if (!existsSync(path)) return 0;
  if (!(await stat(path)).isDirectory()) return (await stat(path)).mtimeMs;
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith(ending));
  const times = await Promise.all(
    files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).mtimeMs),
  );
  return Math.max(0, ...times);
}

async function portFinding(port: number): Promise<Found> {
  if (await isFree(port)) return { state: "ok", text: "free" };
  const owner = await portOwner(port);
  const who = owner === undefined ? "a process" : `process ${owner.pid} (${owner.command})`;
  return { state: "warn", text: `taken by ${who}`, cure: "end it, or serve on another port by a flag" };
}

async function isFree(port: number): Promise<boolean> {
  const { createServer } = await import("node:net");
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

function listOf(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
