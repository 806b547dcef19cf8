import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";

const tools = join(import.meta.dirname, "../../tools");
const limit = pathToFileURL(join(tools, "test-limit.js")).href;
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-test-files-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs a test file of this body as `npm test` does, with a limit in milliseconds. */
async function runFile(body: string, ms = 60_000): Promise<{ code: number; output: string }> {
  const file = join(scratch, "planted.test.mjs");
  writeFileSync(file, `import { test } from "node:test";\n${body}`);
  const env = { ...process.env, TEST_FILES: file };
  const how = ["--test", "--test-isolation=none", "--test-reporter=tap"];
  const args = [`--import=${limit}?ms=${ms}`, ...how, join(tools, "test-files.js")];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  const [code] = (await once(child, "close")) as [number];
  return { code, output };
}

test("a test file that leaves something open fails and says what", async () => {
  const { code, output } = await runFile(
    'test("leaves a timer", () => { setInterval(() => {}, 1000); });',
    1500,
  );
  assert.equal(code, 1);
  assert.match(output, /planted\.test\.mjs still runs after 1500 ms; alive are: .*Timeout/);
});

test("a test file that ends by itself is left alone", async () => {
  const { code, output } = await runFile('test("ends", () => {});');
  assert.equal(code, 0);
  assert.match(output, /^# pass 1$/m);
});

test("a test file that throws behind its first test fails", async () => {
  const { code, output } = await runFile('test("first", () => {});\nthrow new Error("no table");');
  assert.equal(code, 1);
  assert.match(output, /^ok \d - first$/m);
  assert.match(output, /^not ok \d - .*planted\.test\.mjs loads$[^]*no table/m);
});
