/** What is known of the wire stands in one file each; all others import it from there. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");

const places: readonly (readonly [what: string, text: RegExp, place: RegExp])[] = [
  ["the functions of zlib", /"node:zlib"/, /^src\/core\/wire\/codings\/[a-z]+\.ts$/],
  [
    "the prefix of messages",
    /prefixBytes = |UInt32BE\(|encodeEnvelope/,
    /^src\/core\/(?:wire\/message-prefix|http2\/(?:frame-reader|frame-writer|settings))\.ts$/, // Frames of HTTP/2 have numbers too.
  ],
  ["the units of grpc-timeout", /HMSmun/, /^src\/core\/wire\/grpc-timeout\.ts$/],
  ["weights of lists", /"q"|\bq\\s|\bq=\(/, /^src\/gateway\/http\/weighted-list\.ts$/],
  ["the digits of base64", /A-Za-z0-9\+\/|0123456789\+\//, /^src\/core\/codec\/base64-text\.ts$/],
  ["the end of a path", /indexOf\("\?"|split\("\?"/, /^src\/core\/net\/request-target\.ts$/],
];

const files = globSync("src/**/*.ts", { cwd: root }).map((file) => file.replaceAll("\\", "/"));

for (const [what, text, place] of places) {
  test(`${what}: in one place`, () => {
    const found = files.filter((file) => text.test(readFileSync(join(root, file), "utf8")));
    assert.ok(
      found.some((file) => place.test(file)),
      "the place has it",
    );
    assert.deepEqual(
      found.filter((file) => !place.test(file)),
      [],
    );
  });
}

test("contexts of calls: in one place of the gateway", () => {
  const found = files.filter(
    (file) =>
      file.startsWith("src/gateway/") && readFileSync(join(root, file), "utf8").includes("new CallContext("),
  );
  assert.deepEqual(found, ["src/gateway/doors/open-call.ts"]);
});
