import { createHash } from "node:crypto";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Folder of built tools, shared by all checkouts. */
export const toolCache: string = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "ts-ms");

/** Why a suite cannot run on this machine. */
export class Missing extends Error {}

/** A program of the Go module proxy, built into the cache with its version pinned. */
interface GoTool {
  readonly module: string;
  readonly version: string;
  /** Path of the main package. */
  readonly main: string;
  /** Modules with other versions than the tool requires: `path=path@version`. */
  readonly replace?: readonly string[];
  /** Version of the modules that the tool requires as v0.0.0, since its own repository has them. */
  readonly staging?: string;
}

const goTools: Readonly<Record<string, GoTool>> = {
  grpcurl: {
    module: "github.com/fullstorydev/grpcurl",
    version: "v1.9.4",
    main: "github.com/fullstorydev/grpcurl/cmd/grpcurl",
  },
  grpc_health_probe: {
    module: "github.com/grpc-ecosystem/grpc-health-probe",
    version: "v0.4.19",
    main: "github.com/grpc-ecosystem/grpc-health-probe",
  },
  "grpc-go-interop-client": {
    module: "google.golang.org/grpc",
    version: "v1.85.0",
    main: "google.golang.org/grpc/interop/client",
  },
  "grpc-go-interop-server": {
    module: "google.golang.org/grpc",
    version: "v1.85.0",
    main: "google.golang.org/grpc/interop/server",
  },
  connectconformance: {
    module: "connectrpc.com/conformance",
    version: "v1.0.6",
    main: "connectrpc.com/conformance/cmd/connectconformance",
  },
  h2spec: {
    module: "github.com/summerwind/h2spec",
    version: "v2.2.1+incompatible",
    main: "github.com/summerwind/h2spec/cmd/h2spec",
  },
  ghz: {
    module: "github.com/bojand/ghz",
    version: "v0.93.0",
    main: "github.com/bojand/ghz/cmd/ghz",
  },
  etcd: {
    module: "go.etcd.io/etcd/server/v3",
    version: "v3.7.3",
    main: "go.etcd.io/etcd/server/v3",
  },
  caddy: {
    module: "github.com/caddyserver/caddy/v2",
    version: "v2.11.9",
    main: "github.com/caddyserver/caddy/v2/cmd/caddy",
  },
  // Takes up to fifteen minutes.
  "kube-apiserver": {
    module: "k8s.io/kubernetes",
    version: "v1.34.2",
    main: "k8s.io/kubernetes/cmd/kube-apiserver",
    staging: "v0.34.2",
  },
  kustomize: {
    module: "sigs.k8s.io/kustomize/kustomize/v5",
    version: "v5.8.1",
    main: "sigs.k8s.io/kustomize/kustomize/v5",
  },
  "gapic-showcase": {
    module: "github.com/googleapis/gapic-showcase",
    version: "v0.42.0",
    main: "github.com/googleapis/gapic-showcase/cmd/gapic-showcase",
    // The tool requires versions of these that the Go module proxy lacks.
    replace: [
      "google.golang.org/genproto=google.golang.org/genproto@v0.0.0-20230525234025-438c736192d0",
      "google.golang.org/genproto/googleapis/api=google.golang.org/genproto/googleapis/api@v0.0.0-20261019180522-ce908d29299b",
      "google.golang.org/genproto/googleapis/rpc=google.golang.org/genproto/googleapis/rpc@v0.0.0-20261019180522-ce908d29299b",
    ],
  },
};

/** What is being made for the cache, by its folder or file. */
const underWay = new Map<string, Promise<void>>();

/**
 * Makes what the cache has not yet; suites that need it at the same time wait for the same making.
 *
 * @param path of a file or folder of the cache that is there when it is whole
 */
export async function makeOnce(path: string, make: () => Promise<void>): Promise<void> {
  if (existsSync(path) && !underWay.has(path)) return;
  let making = underWay.get(path);
  if (making === undefined) {
    making = make().finally(() => underWay.delete(path));
    underWay.set(path, making);
  }
  await making;
}

/** Path of a Go tool that a suite has built; undefined where none has. */
export function builtGoTool(name: string): string | undefined {
  const binary = join(toolCache, `${name}-${goTools[name]?.version}`, name);
  return existsSync(binary) ? binary : undefined;
}

/**
 * Path of a Go tool, built unless it is in the cache.
 *
 * @throws Missing if there is no Go.
 */
export async function goTool(name: string): Promise<string> {
  const tool = goTools[name];
  if (tool === undefined) throw new Error(`no Go tool is called ${name}`);
  const folder = join(toolCache, `${name}-${tool.version}`);
  const binary = join(folder, name);
  await makeOnce(binary, () => buildGoTool(name, tool, folder, binary));
  return binary;
}

async function buildGoTool(name: string, tool: GoTool, folder: string, binary: string): Promise<void> {
  await run("go", ["version"]).catch(() => {
    throw new Missing("Go is not installed");
  });
  process.stderr.write(`building ${name} ${tool.version}\n`);
  const source = join(folder, "source");
  mkdirSync(source, { recursive: true });
  // A tool with `replace` lines in its go.mod cannot be installed by `go install`, but it can be a dependency of a
  // scratch module.
  const go = (...words: string[]) => run("go", words, { cwd: source, maxBuffer: 64 << 20 });
  if (!existsSync(join(source, "go.mod"))) await go("mod", "init", "tools");
  await go("mod", "edit", "-require", `${tool.module}@${tool.version}`);
  if (tool.staging !== undefined) {
    const { stdout } = await go("mod", "download", "-json", `${tool.module}@${tool.version}`);
    const required = readFileSync((JSON.parse(stdout) as { GoMod: string }).GoMod, "utf8"); // By `go help mod download`.
    for (const [, path] of required.matchAll(/^\t(\S+) v0\.0\.0$/gm)) {
      await go("mod", "edit", "-replace", `${path}=${path}@${tool.staging}`);
    }
  }
  for (const replacement of tool.replace ?? []) await go("mod", "edit", "-replace", replacement);
  await go("build", "-mod=mod", "-o", binary, tool.main);
}

/**
 * Path of a Go program of this folder, built unless the cache has it as it is now.
 *
 * @param modules `path@version` of what it imports
 * @throws Missing if there is no Go.
 */
export async function goProgram(file: string, modules: readonly string[]): Promise<string> {
  const text = readFileSync(file, "utf8");
  const hash = createHash("sha256").update(modules.join()).update(text).digest("hex").slice(0, 12);
  const name = basename(file, ".go");
  const folder = join(toolCache, `${name}-${hash}`);
  const binary = join(folder, name);
  await makeOnce(binary, async () => {
    await run("go", ["version"]).catch(() => {
      throw new Missing("Go is not installed");
    });
    process.stderr.write(`building ${name}\n`);
    const source = join(folder, "source");
    mkdirSync(source, { recursive: true });
    writeFileSync(join(source, "main.go"), text);
    const go = (...words: string[]) => run("go", words, { cwd: source, maxBuffer: 64 << 20 });
    if (!existsSync(join(source, "go.mod"))) await go("mod", "init", "tools");
    for (const module of modules) await go("mod", "edit", "-require", module);
    await go("mod", "tidy");
    await go("build", "-o", binary, ".");
  });
  return binary;
}

/**
 * A file or folder of a Go tool's module, such as its protos.
 *
 * @throws Missing if there is no Go.
 */
export async function goModuleFile(name: string, path: string): Promise<string> {
  const tool = goTools[name];
  if (tool === undefined) throw new Error(`no Go tool is called ${name}`);
  await goTool(name);
  const cwd = join(toolCache, `${name}-${tool.version}`, "source");
  const { stdout } = await run("go", ["mod", "download", "-json", `${tool.module}@${tool.version}`], { cwd });
  return join((JSON.parse(stdout) as { Dir: string }).Dir, path); // As documented by `go help mod download`.
}

/**
 * The contracts from which a package of a Go tool's module was generated, with all imports: a binary
 * `FileDescriptorSet`.
 *
 * @throws Missing if there is no Go.
 */
export async function goDescriptors(name: string, goPackage: string): Promise<Uint8Array> {
  const tool = goTools[name];
  if (tool === undefined) throw new Error(`no Go tool is called ${name}`);
  await goTool(name);
  const folder = join(toolCache, `${name}-${tool.version}`);
  const file = join(folder, "descriptors.binpb");
  await makeOnce(file, async () => {
    const source = join(folder, "source");
    mkdirSync(join(source, "descriptors"), { recursive: true });
    writeFileSync(join(source, "descriptors/main.go"), printDescriptors(goPackage));
    const words = ["run", "-mod=mod", "./descriptors"];
    const { stdout } = await run("go", words, { cwd: source, encoding: "buffer", maxBuffer: 64 << 20 });
    writeFileSync(file, stdout);
  });
  return readFileSync(file);
}

/** A Go program that prints the descriptors that it is linked with. */
function printDescriptors(goPackage: string): string {
  return `package main

import (
	"os"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	_ "${goPackage}"
)

func main() {
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	var add func(file protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if seen[file.Path()] {
			return
		}
		seen[file.Path()] = true
		for i := 0; i < file.Imports().Len(); i++ {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		add(file)
		return true
	})
	bytes, err := proto.Marshal(set)
	if err != nil {
		panic(err)
	}
	os.Stdout.Write(bytes)
}
`;
}

/**
 * The jars of a Maven artifact and its dependencies, in a folder of the cache.
 *
 * @param coordinates `group:artifact:version`
 * @throws Missing if there is no Maven or no Java.
 */
export async function mavenJars(coordinates: string): Promise<string> {
  const folder = join(toolCache, coordinates.replaceAll(":", "-"));
  const jars = join(folder, "lib");
  await makeOnce(join(folder, "done"), () => fetchJars(coordinates, folder));
  return jars;
}

async function fetchJars(coordinates: string, folder: string): Promise<void> {
  for (const [command, flag] of [
    ["mvn", "--version"],
    ["java", "-version"],
  ] as const) {
    await run(command, [flag]).catch(() => {
      throw new Missing(`${command} is not installed`);
    });
  }
  process.stderr.write(`fetching ${coordinates}\n`);
  // Several processes may do it at the same time: each does it in a folder of its own, and the first one's stays.
  const making = `${folder}.${process.pid}`;
  mkdirSync(making, { recursive: true });
  const [group, artifact, version] = coordinates.split(":");
  const project = (id: string, content: string): string =>
    `<groupId>${id}</groupId><artifactId>${content}</artifactId>`;
  writeFileSync(
    join(making, "pom.xml"),
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
${project("tools", "tools")}<version>1</version>
<dependencies><dependency>${project(group ?? "", artifact ?? "")}<version>${version}</version></dependency></dependencies>
</project>
`,
  );
  const copy = ["-B", "-q", "dependency:copy-dependencies", `-DoutputDirectory=${join(making, "lib")}`];
  await run("mvn", copy, { cwd: making });
  writeFileSync(join(making, "done"), "");
  if (existsSync(join(folder, "done"))) {
    rmSync(making, { recursive: true });
    return;
  }
  rmSync(folder, { recursive: true, force: true });
  renameSync(making, folder);
}

/**
 * The folder of packages of npm, which are installed into the cache, with what they need and without their scripts.
 *
 * @param packages with their exact versions, such as `ws@8.23.0`
 * @throws Missing if they cannot be installed
 */
export async function npmPackages(packages: readonly string[]): Promise<string> {
  const folder = join(toolCache, `npm-${packages.join("+").replaceAll(/[^\w.+-]/g, "-")}`);
  await makeOnce(join(folder, "done"), async () => {
    process.stderr.write(`fetching ${packages.join(" and ")}\n`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }));
    const words = ["install", "--no-audit", "--no-fund", "--save-exact", "--ignore-scripts", ...packages];
    await run("npm", words, { cwd: folder }).catch((cause: unknown) => {
      throw new Missing(
        `npm cannot install ${packages.join(" and ")}: ${String(cause).trim().split("\n").at(-1)}`,
      );
    });
    writeFileSync(join(folder, "done"), "");
  });
  return folder;
}

/** Debian packages of a suite, unpacked into a folder of the cache without installing them. */
export async function debianPackages(suite: string, packages: readonly string[]): Promise<string> {
  const folder = join(toolCache, `debian-${suite}-${packages.join("-")}`);
  await makeOnce(join(folder, "done"), () => unpack(suite, packages, folder));
  return join(folder, "root");
}

async function unpack(suite: string, packages: readonly string[], folder: string): Promise<void> {
  const lists = await debianLists(suite);
  process.stderr.write(`unpacking ${packages.join(", ")} of Debian ${suite}\n`);
  for (const part of ["cache/archives/partial", "root"]) mkdirSync(join(folder, part), { recursive: true });
  const script = `
    ${aptIn(lists)} -o "Dir::Cache=$PWD/cache" download $PACKAGES
    for package in *.deb; do dpkg-deb -x "$package" root; done
    touch done
  `;
  const env = { ...process.env, PACKAGES: packages.join(" ") };
  await run("bash", ["-ec", script], { cwd: folder, env });
}

/** The folders of lists by Debian suite: of this process alone, since they name what the archive has now. */
const fetchedLists = new Map<string, Promise<string>>();

/** The folder with the lists of packages of a Debian suite, fetched once for all suites of conformance that need them. */
function debianLists(suite: string): Promise<string> {
  let lists = fetchedLists.get(suite);
  if (lists === undefined) fetchedLists.set(suite, (lists = fetchLists(suite)));
  return lists;
}

async function fetchLists(suite: string): Promise<string> {
  await run("apt-get", ["--version"]).catch(() => {
    throw new Missing("apt-get is not installed");
  });
  const folder = mkdtempSync(join(tmpdir(), `ts-ms-debian-${suite}-`));
  for (const part of ["lists/partial", "cache/archives/partial"])
    mkdirSync(join(folder, part), { recursive: true });
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const script = `
    touch status
    awk 'BEGIN { RS = ""; ORS = "\\n\\n" } NR == 1' /etc/apt/sources.list.d/debian.sources |
      sed "s/^Suites:.*/Suites: $SUITE/" > suite.sources
    ${aptIn(folder)} -o "Dir::Cache=$PWD/cache" update
  `;
  await run("bash", ["-ec", script], { cwd: folder, env: { ...process.env, SUITE: suite } });
  return folder;
}

/** apt-get as far as it knows the lists in a folder and nothing of this machine. */
function aptIn(folder: string): string {
  const at = folder.replaceAll("'", "'\\''");
  return (
    `apt-get -q -o Dir::Etc::sourcelist='${at}/suite.sources' -o Dir::Etc::sourceparts=/dev/null ` +
    `-o Dir::State::lists='${at}/lists' -o Dir::State::status='${at}/status' -o APT::Sandbox::User=root`
  );
}

/**
 * The folder of a module of Go in the module cache.
 *
 * @param module `path@version`
 * @throws Missing if there is no Go
 */
export async function goModule(module: string): Promise<string> {
  const { stdout } = await run("go", ["mod", "download", "-json", module]).catch((cause: unknown) => {
    throw new Missing(`Go cannot fetch ${module}: ${String(cause).trim().split("\n").at(-1)}`);
  });
  return (JSON.parse(stdout) as { Dir: string }).Dir; // As documented by `go help mod download`.
}
