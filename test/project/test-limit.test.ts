import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";

const limit = pathToFileURL(join(import.meta.dirname, "../../tools/test-limit.js")).href;
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-limit-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs a test file of this body with a limit in milliseconds. */
async function runFile(body: string, ms: number): Promise<{ code: number; output: string }> {
  const file = join(scratch, "planted.test.mjs");
  writeFileSync(file, `import { test } from "node:test";\n${body}`);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const args = [`--import=${limit}?ms=${ms}`, "--test", "--test-reporter=tap", file];
  const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
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
  const { code, output } = await runFile('test("ends", () => {});', 60_000);
  assert.equal(code, 0);
  assert.match(output, /^# pass 1$/m);
});
