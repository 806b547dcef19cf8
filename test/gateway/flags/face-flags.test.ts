import assert from "node:assert/strict";
import { test } from "node:test";
import { readCommandLine } from "../../../src/core/config/flags.ts";
import { faceFlags, faceOptions, httpFlags } from "../../../src/entries/flags.ts";

const contract = new URL("../../../gen/contract.binpb", import.meta.url);

async function optionsOf(...argv: readonly string[]): ReturnType<typeof faceOptions> {
  const line = readCommandLine("p", { ...httpFlags, ...faceFlags }, argv);
  assert.equal(line.kind, "run");
  return faceOptions(line.flags, [contract]);
}

for (const [argv, names] of [
  [[], ["docs", "openapi"]],
  [
    ["--http-host", "localhost"],
    ["docs", "openapi"],
  ],
  [
    ["--http-host", "::1"],
    ["docs", "openapi"],
  ],
  [
    ["--http-host", "127.9.0.1"],
    ["docs", "openapi"],
  ],
  [["--http-host", "0.0.0.0"], []],
  [["--http-host", "::"], []],
  [["--http-host", "api.example.com"], []],
  [["--http-host", "unix:/tmp/x"], []],
  [["--http-host", "0.0.0.0", "--openapi"], ["openapi"]],
  [["--http-host", "0.0.0.0", "--docs"], ["docs"]],
  [["--no-openapi"], ["docs"]],
  [["--no-docs"], ["openapi"]],
  [["--http-host", "0.0.0.0", "--mcp", "safe"], ["mcp"]],
] as const) {
  test(`faces of ${argv.length === 0 ? "no flags" : argv.join(" ")}`, async () => {
    const { faces } = await optionsOf(...argv);
    assert.deepEqual(
      faces.map(({ name }) => name),
      names,
    );
  });
}

test("--comments is in place of those of the program", async () => {
  assert.deepEqual((await optionsOf()).comments, [contract]);
  const file = "package.json"; // It is read only when a document is asked for.
  assert.deepEqual((await optionsOf("--comments", file)).comments, [file]);
});
