import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ConfigFiles } from "./config-files.ts";

interface Outcome {
  readonly lines: readonly string[];
  /** Time of the processor. */
  readonly ms: number;
  readonly mib: number;
}

const doubled = ["a: &a [x, x]", ..."bcdefghij".split("").map(doubling)].join("\n");

function doubling(name: string, index: number): string {
  const before = "abcdefghi"[index] ?? "";
  return `${name}: &${name} [*${before}, *${before}]`;
}

const hostile: readonly [name: string, text: string, line: RegExp][] = [
  [
    "aliases that double nine times",
    doubled,
    /^config\.yaml:\d+:\d+: anchors are used more than 100 times$/m,
  ],
  [
    "a file of 2 MiB",
    `a: ${"x".repeat(2 * 1024 * 1024)}`,
    /^config\.yaml: the file config\.yaml is larger than 1024 KiB$/m,
  ],
  ["a cycle", "http: &a { cors: { origins: *a } }", /^config\.yaml:1:29: the anchor a contains itself$/m],
  ["a function of JavaScript", "app: { name: !!js/function 'x' }", /^config\.yaml:1:14: unknown tag$/m],
  ["brackets without end", "[".repeat(900_000), /^config\.yaml: brackets are nested too deeply$/m],
  ["lists in lists", `a:\n  ${"- ".repeat(100_000)}x`, /^config\.yaml: lines are nested too deeply$/m],
  [
    "many levels by indentation",
    Array.from({ length: 1_200 }, (_, level) => `${" ".repeat(level)}a:`).join("\n"),
    /^config\.yaml: lines are nested too deeply$/m,
  ],
];

for (const [name, text, line] of hostile) {
  test(`C01 ${name}: an error with its place, soon and in little memory`, async () => {
    using files = new ConfigFiles({ "config.yaml": text });
    const fixture = join(import.meta.dirname, "fixtures/load-file.ts");
    const { stdout } = await promisify(execFile)(process.execPath, [fixture, files.path("config.yaml")]);
    const { lines, ms, mib } = JSON.parse(stdout) as Outcome; // As the fixture writes it.
    assert.match(lines.join("\n").replaceAll(`${files.folder}/`, ""), line);
    assert.ok(ms < 200, `${ms} ms`);
    assert.ok(mib < 32, `${mib} MiB`);
  });
}
