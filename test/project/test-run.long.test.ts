import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const program = join(import.meta.dirname, "../../tools/test.js");

/** One test that passes, one whose first two runs fail, and one that always does if told. */
const source = `
import { existsSync, writeFileSync } from "node:fs";
import { suite, test } from "node:test";
test("good", () => {});
suite("some", () => {
  test("unsteady", () => {
    const mark = ["first", "second"].find((name) => !existsSync(new URL(name, import.meta.url)));
    if (mark === undefined) return;
    writeFileSync(new URL(mark, import.meta.url), "");
    throw new Error("not yet");
  });
});
test("bad", () => {
  if (process.env.BAD === "1") throw new Error("never");
});
if (process.env.BAD === "gone" && !existsSync(new URL("gone", import.meta.url))) {
  writeFileSync(new URL("gone", import.meta.url), "");
  test("only once", () => {
    throw new Error("never again");
  });
}
`;

test("what fails is told and its file runs again; what fails three times fails the run", async () => {
  const folder = await mkdtemp(join(tmpdir(), "ts-ms-unsteady-"));
  const file = join(folder, "unsteady.test.mjs");
  const run = (bad: string): { status: number | null; stdout: string } =>
    spawnSync(process.execPath, [program, file], {
      encoding: "utf8",
      env: { ...process.env, BAD: bad, NODE_TEST_CONTEXT: undefined },
    });
  try {
    await writeFile(file, source);
    const once = run("0");
    assert.equal(once.status, 0, once.stdout);
    assert.match(
      once.stdout,
      /FAIL .*unsteady\.test\.mjs:\d+ unsteady[^]*AGAIN[^]*AGAIN[^]*FLAKY.*: unsteady\n/,
    );
    assert.match(once.stdout, /^3 passed, 0 failed, 0 skipped$/m);
    const twice = run("1");
    assert.equal(twice.status, 1, twice.stdout);
    assert.match(twice.stdout, /AGAIN[^]*AGAIN[^]*FAIL .*:\d+ bad[^]*FAILED: .*: bad\n/);
    assert.match(twice.stdout, /^2 passed, 1 failed, 0 skipped$/m);
    const gone = run("gone");
    assert.equal(gone.status, 1, gone.stdout);
    assert.match(gone.stdout, /AGAIN[^]*FAILED: .*: only once\n/);
    assert.match(gone.stdout, /^3 passed, 1 failed, 0 skipped$/m);
  } finally {
    await rm(folder, { recursive: true });
  }
});
