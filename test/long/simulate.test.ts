import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const program = join(import.meta.dirname, "../../bench/simulate/simulate.ts");

function run(...options: readonly string[]) {
  return spawnSync(process.execPath, [program, ...options], { encoding: "utf8", timeout: 118_000 });
}

test("2,000,000 clients of 200 gateways before 500 backends are within all bounds, in 60 s and 1 GiB", () => {
  const { status, stdout, stderr } = run("--gateways", "200", "--backends", "500", "--clients", "2000000");
  assert.equal(status, 0, `${stdout}${stderr}`);
  const [, mebibytes = "9999"] = /([0-9]+) MiB\n$/.exec(stdout) ?? [];
  assert.ok(Number(mebibytes) <= 1_024, `${mebibytes} MiB`);
  // Processor time, since other tests run beside.
  const cpuS = /([0-9.]+) s of a processor/.exec(stdout)?.[1] ?? "999";
  assert.ok(Number(cpuS) <= 60, `${cpuS} s`);
});

test("what is outside its bound is named, and the program ends with 1; wrong options are named", () => {
  const small = ["--gateways", "20", "--backends", "50", "--clients", "240000", "--age", "3"];
  const { status, stdout } = run(...small, "--accepts", "100000");
  assert.equal(status, 1);
  assert.match(stdout, /in the fullest second .* MISSED/);
  const wrong = run("--gateways", "none");
  assert.notEqual(wrong.status, 0);
  assert.match(wrong.stderr, /--gateways must be a whole number of at least 1/);
});
