import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const root = join(import.meta.dirname, "../..");
const runner = join(root, "tools/run.js");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-bootstrap-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const serverFile = join(scratch, "server.mjs");
writeFileSync(
  serverFile,
  `import { createServer } from "node:net";
  const server = createServer().listen(0, "127.0.0.1", () => console.log("port " + server.address().port));
  for (const signal of ["SIGINT", "SIGTERM"])
    process.on(signal, () => { console.log("got " + signal); server.close(() => process.exit(7)); });
  `,
);
writeFileSync(
  join(scratch, "package.json"),
  JSON.stringify({
    name: "scratch",
    private: true,
    scripts: {
      serve: `node "${runner}" "${serverFile}"`,
      // A second command keeps the shell between npm and the bootstrap.
      "serve-behind-shell": `node "${runner}" "${serverFile}"; exit $?`,
    },
  }),
);

/** A started program whose output is read line by line. */
interface Running {
  readonly child: ChildProcess;
  readonly lines: AsyncIterator<string, undefined>;
  readonly ended: Promise<unknown[]>;
}

function start(command: string, ...args: string[]): Running {
  const child = spawn(command, args, { cwd: scratch, stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, lines, ended: once(child, "close") };
}

async function nextLine({ lines }: Running, pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`the program ended before it printed ${pattern.source}`);
    const match = pattern.exec(value);
    if (match !== null) return match;
  }
}

async function isFree(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

async function untilFree(port: number, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isFree(port))) {
    assert.ok(performance.now() < deadline, `port ${port} is still taken after ${withinMs} ms`);
    await sleep(50);
  }
}

for (const signal of ["SIGTERM", "SIGKILL"] as const) {
  for (const script of ["serve", "serve-behind-shell"]) {
    test(`${signal} to npm stops the program of \`npm run ${script}\``, async () => {
      const npm = start("npm", "run", script);
      const port = Number((await nextLine(npm, /^port (\d+)$/))[1]);
      npm.child.kill(signal);
      await nextLine(npm, /^got SIGTERM$/);
      await untilFree(port, 15_000);
      await npm.ended;
    });
  }
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} to the bootstrap reaches the program, whose exit code comes back`, async () => {
    const running = start(process.execPath, runner, serverFile);
    const port = Number((await nextLine(running, /^port (\d+)$/))[1]);
    running.child.kill(signal);
    await nextLine(running, new RegExp(`^got ${signal}$`));
    assert.deepEqual(await running.ended, [7, null]);
    await untilFree(port, 15_000);
  });
}

test("a program that dies of a signal is seen to die of it", async () => {
  const file = join(scratch, "suicide.mjs");
  writeFileSync(file, 'process.kill(process.pid, "SIGKILL"); setInterval(() => {}, 1000);');
  const running = start(process.execPath, runner, file);
  assert.deepEqual(await running.ended, [null, "SIGKILL"]);
});

test("the program gets its arguments and the pinned Node first in PATH", async () => {
  const file = join(scratch, "report.mjs");
  writeFileSync(
    file,
    `import { execSync } from "node:child_process";
    console.log(JSON.stringify([process.argv.slice(2), process.version, String(execSync("node --version")).trim()]));`,
  );
  const running = start(process.execPath, runner, file, "--a", "b c");
  const [line = ""] = await nextLine(running, /^\[.*$/);
  const [args, own, inPath] = JSON.parse(line) as [string[], string, string];
  assert.deepEqual(args, ["--a", "b c"]);
  assert.equal(own, inPath);
  const pinned = JSON.parse(readFileSync(join(root, "tools/node/package.json"), "utf8")) as {
    optionalDependencies: Record<string, string>;
  };
  const name = `node-${process.platform}-${process.arch}`;
  if (name in pinned.optionalDependencies) assert.equal(own, `v${pinned.optionalDependencies[name]}`);
});

/** A project of one package with an npm of our own that notes each of its calls, the way npm leaves a finished install. */
function plantProject(
  name: string,
  exitCode: number,
): { folder: string; calls: () => string[]; script: string } {
  const folder = join(scratch, name);
  mkdirSync(folder);
  const log = join(folder, "calls.log");
  writeFileSync(log, "");
  const lock = {
    lockfileVersion: 3,
    packages: { "": { name }, "node_modules/a": { version: "1.0.0", integrity: "x" } },
  };
  writeFileSync(join(folder, "package-lock.json"), JSON.stringify(lock));
  writeFileSync(
    join(folder, "npm-cli.mjs"),
    `import { appendFileSync, copyFileSync, mkdirSync } from "node:fs";
    appendFileSync("calls.log", process.argv.slice(2).join(" ") + "\\n");
    console.log("npm has a lot to say");
    await new Promise((resolve) => setTimeout(resolve, 300));
    if (${exitCode} !== 0) process.exit(${exitCode});
    mkdirSync("node_modules", { recursive: true });
    copyFileSync("package-lock.json", "node_modules/.package-lock.json");`,
  );
  const script = join(folder, "install.mjs");
  writeFileSync(
    script,
    `import { installMissing } from ${JSON.stringify(join(root, "tools/install.js"))};
    await installMissing(${JSON.stringify(folder)}, ["."]).catch((error) => {
      console.log(error.message);
      process.exitCode = 1;
    });`,
  );
  return { folder, calls: () => readFileSync(log, "utf8").split("\n").filter(Boolean), script };
}

async function install(project: {
  folder: string;
  script: string;
}): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, [project.script], {
    env: { ...process.env, npm_execpath: join(project.folder, "npm-cli.mjs") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [code] = (await once(child, "close")) as [number];
  return { code, output };
}

test("of parallel starts one installs, quietly, and later starts do nothing", async () => {
  const project = plantProject("parallel", 0);
  const results = await Promise.all([1, 2, 3].map(() => install(project)));
  assert.deepEqual(
    results.map((result) => result.code),
    [0, 0, 0],
  );
  assert.equal(project.calls().length, 1);
  assert.match(project.calls()[0] ?? "", /^ci --ignore-scripts --no-audit --no-fund /);
  assert.ok(results.every(({ output }) => !output.includes("a lot to say")));
  assert.deepEqual(await install(project), { code: 0, output: "" });
  assert.equal(project.calls().length, 1);
});

test("a changed lockfile and a package for another platform are installed anew", async () => {
  const project = plantProject("stale", 0);
  const lockFile = join(project.folder, "package-lock.json");
  await install(project);
  writeFileSync(lockFile, readFileSync(lockFile, "utf8").replace("1.0.0", "1.0.1"));
  assert.equal((await install(project)).code, 0);
  assert.equal(project.calls().length, 2);
  const foreign = {
    packages: { "node_modules/a": { version: "1.0.1", integrity: "x", optional: true, os: ["plan9"] } },
  };
  writeFileSync(lockFile, JSON.stringify(foreign));
  writeFileSync(join(project.folder, "node_modules/.package-lock.json"), JSON.stringify(foreign));
  await install(project);
  assert.equal(project.calls().length, 3);
});

test("a failed install shows what npm said and gives the lock back", async () => {
  const project = plantProject("failing", 9);
  for (const attempt of [1, 2]) {
    const { code, output } = await install(project);
    assert.equal(code, 1);
    assert.match(output, /npm ci failed .*\n(?:.*\n)*npm has a lot to say/);
    assert.equal(project.calls().length, attempt);
  }
});

test("the lock of a process that died is taken over", async () => {
  const project = plantProject("abandoned", 0);
  const dead = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(dead, "close");
  mkdirSync(join(project.folder, ".cache"));
  writeFileSync(join(project.folder, ".cache/install.lock"), String(dead.pid));
  assert.equal((await install(project)).code, 0);
  assert.equal(project.calls().length, 1);
});

test("an old Node is refused, one that runs TypeScript is taken", async () => {
  // The module is plain JavaScript without types of its own.
  const { runsTypeScript } = (await import(join(root, "tools/node-version.js"))) as {
    runsTypeScript: (version: string) => boolean;
  };
  const expected = {
    "20.20.2": false,
    "22.17.9": false,
    "22.18.0": true,
    "23.5.0": false,
    "23.6.0": true,
    "26.10.0": true,
  };
  for (const [version, runs] of Object.entries(expected))
    assert.equal(runsTypeScript(version), runs, version);
});
