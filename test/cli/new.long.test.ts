import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, suite, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { projectFiles, templates } from "../../src/cli/new/fill.ts";
import { serviceNames } from "../../src/cli/new/project-names.ts";
import { tsMsFile, tsMsWith } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-new-"));
after(() => rmSync(scratch, { recursive: true, force: true }));
const shop = projectFiles("shop", serviceNames("shop"), templates.service);
let folders = 0;
const emptyFolder = (): string => {
  const folder = join(scratch, String(++folders));
  mkdirSync(folder);
  return folder;
};

suite("F15 ts-ms new that is killed at any moment leaves nothing, or all of it", () => {
  /** Starts `ts-ms new shop`, ends it by a signal, and waits until nothing of it runs. @returns what is in the folder */
  const killed = async (
    cwd: string,
    args: readonly string[],
    signal: NodeJS.Signals,
    when: Promise<unknown>,
    path = process.env["PATH"],
  ): Promise<string[]> => {
    const child = spawn(process.execPath, [tsMsFile, "new", "shop", ...args], {
      cwd,
      env: { ...process.env, PATH: path },
      stdio: "ignore",
    });
    const ended = once(child, "exit");
    await when;
    child.kill(signal);
    await ended;
    for (let tries = 0; tries < 100; tries++) {
      const names = readdirSync(cwd);
      if (names.every((name) => name === "shop")) return names;
      await wait(50); // What removes the rest is a process of its own.
    }
    return readdirSync(cwd);
  };

  for (const signal of ["SIGKILL", "SIGTERM", "SIGINT"] as const) {
    test(`${signal} while files are written`, async () => {
      // Later and later, until it has come to its end.
      for (let afterMs = 20; afterMs < 60_000; afterMs *= signal === "SIGKILL" ? 1.15 : 1.7) {
        const cwd = emptyFolder();
        const names = await killed(cwd, ["--no-install", "--no-git"], signal, wait(afterMs));
        if (names.length === 0) continue;
        assert.deepEqual(names, ["shop"]);
        for (const path of shop.keys()) assert.ok(existsSync(join(cwd, "shop", path)), path);
        return;
      }
      assert.fail("it never came to its end");
    });

    test(`${signal} while npm installs`, async () => {
      const tools = emptyFolder();
      const started = join(tools, "started");
      const npm = `#!/bin/sh\nmkdir node_modules\necho > ${started}\nwhile true; do echo x >> node_modules/x; sleep 0.02; done\n`;
      writeFileSync(join(tools, "npm"), npm);
      chmodSync(join(tools, "npm"), 0o755);
      const cwd = emptyFolder();
      const until = (async () => {
        while (!existsSync(started)) await wait(10);
      })();
      assert.deepEqual(
        await killed(cwd, ["--no-git"], signal, until, [tools, process.env["PATH"]].join(delimiter)),
        [],
      );
    });
  }

  test("a failed install leaves nothing, and says how to do without", async () => {
    const tools = emptyFolder();
    writeFileSync(join(tools, "npm"), "#!/bin/sh\necho npm error code ENOTFOUND >&2\nexit 1\n");
    chmodSync(join(tools, "npm"), 0o755);
    const cwd = emptyFolder();
    const { code, stdout, stderr } = await tsMsWith(
      { cwd, env: { PATH: [tools, process.env["PATH"]].join(delimiter) } },
      "new",
      "shop",
    );
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(
      stderr,
      /npm install failed, .*; --no-install makes the project without its packages\nnpm error code ENOTFOUND\n$/,
    );
    assert.deepEqual(readdirSync(cwd), []);
  });
});
