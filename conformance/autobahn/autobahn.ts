import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { Suite, SuiteResult } from "../suite.ts";
import { debianPackages, Missing, toolCache } from "../tools.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

/** Requirements of the testsuite: it is written for Python 2.7, which was last part of Debian in bullseye. */
const debian = [
  "python2.7",
  "python2.7-minimal",
  "libpython2.7-minimal",
  "libpython2.7-stdlib",
  "libpython2.7",
  "libpython2.7-dev",
  "libssl1.1",
  "libffi7",
];
const installers = ["pip==20.3.4", "setuptools==44.1.1", "wheel==0.37.1"];
const packages = [
  "autobahntestsuite==0.8.2",
  "autobahn==0.10.9",
  "twisted==19.10.0",
  "pyopenssl==19.1.0",
  "cryptography==3.3.2",
  "klein==17.10.0",
  "werkzeug==0.16.1",
  "jinja2==2.10.3",
  "markupsafe==1.1.1",
  "zope.interface==5.5.2",
  "wsaccel==0.6.2",
  "ujson==1.35",
  "txaio==2.1.0",
  "service_identity==18.1.0",
  "unittest2==1.1.0",
];

/** Framing, pings, reserved bits, opcodes, fragmentation, UTF-8, closing, and a large message in many frames. */
const cases = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"];
const coreCases = 247;
const good: ReadonlySet<string> = new Set(["OK", "NON-STRICT", "INFORMATIONAL"]);

/** The Autobahn testsuite's core cases against a raw echo rpc behind a WebSocket of the gateway. */
export const autobahn: Suite = {
  name: "autobahn",
  async run(): Promise<SuiteResult> {
    const python = await testsuite();
    const out = join(root, ".cache/autobahn");
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    const child = spawn(process.execPath, [join(import.meta.dirname, "echo.ts")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    try {
      const [url] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
      const spec = join(out, "spec.json");
      const servers = [{ agent: "ts-ms", url }];
      writeFileSync(
        spec,
        JSON.stringify({
          outdir: join(out, "report"),
          servers,
          cases,
          "exclude-cases": [],
          "exclude-agent-cases": {},
        }),
      );
      const script = 'import sys; sys.argv[0]="wstest"; from autobahntestsuite.wstest import run; run()';
      await python(["-c", script, "-m", "fuzzingclient", "-s", spec], out);
    } finally {
      child.stdin.end();
      await ended;
    }
    return read(join(out, "report/index.json"));
  },
};

/** Runs Python 2.7, with the testsuite among its modules, in a folder. */
type Python = (words: readonly string[], folder: string) => Promise<void>;

/** Installs the testsuite into the cache, unless it is installed. */
async function testsuite(): Promise<Python> {
  const system = await debianPackages("bullseye", debian);
  const site = join(toolCache, "autobahntestsuite-0.8.2");
  const modules = join(site, "site");
  const env = {
    ...process.env,
    LD_LIBRARY_PATH: join(system, "usr/lib/x86_64-linux-gnu"),
    PYTHONHOME: join(system, "usr"),
    PYTHONPATH: modules,
    C_INCLUDE_PATH: `${join(system, "usr/include/python2.7")}:${join(system, "usr/include")}`,
  };
  const python: Python = async (words, cwd) => {
    const options = { env, cwd, maxBuffer: 64 << 20, timeout: 600_000 };
    await run(join(system, "usr/bin/python2.7"), words, options);
  };
  if (existsSync(join(site, "done"))) return python;
  await run("python3", ["-m", "pip", "--version"]).catch(() => {
    throw new Missing("Python 3 with pip is not installed");
  });
  process.stderr.write("installing the Autobahn testsuite 0.8.2\n");
  rmSync(site, { recursive: true, force: true });
  mkdirSync(modules, { recursive: true });
  const wheels = join(site, "wheels");
  await run("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "-d", wheels, ...installers]);
  const files = readdirSync(wheels).map((file) => join(wheels, file));
  const pip = files.find((file) => file.includes("/pip-"));
  if (pip === undefined) throw new Error("pip did not download itself");
  await python([join(pip, "pip"), "install", "--quiet", "--no-index", "--target", modules, ...files], site);
  const install = ["install", "--quiet", "--no-build-isolation", "--target", modules];
  await python(["-m", "pip", ...install, ...packages], site);
  writeFileSync(join(modules, "zope/__init__.py"), ""); // A namespace package, for Python 2.
  writeFileSync(join(site, "done"), "");
  return python;
}

/** Reads the report of the testsuite, which always exits with 0. */
function read(file: string): SuiteResult {
  interface Report {
    readonly [agent: string]: {
      readonly [name: string]: { readonly behavior: string; readonly behaviorClose: string };
    };
  }
  const results = Object.entries((JSON.parse(readFileSync(file, "utf8")) as Report)["ts-ms"] ?? {});
  const failures = results
    .filter(([, { behavior, behaviorClose }]) => !good.has(behavior) || !good.has(behaviorClose))
    .map(([name, { behavior, behaviorClose }]) => `${name}: ${behavior}, close ${behaviorClose}`);
  if (results.length !== coreCases) failures.push(`${results.length} cases ran, not ${coreCases}`);
  return { passed: results.length - failures.length, expectedFailures: 0, failures };
}
