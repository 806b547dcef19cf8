import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, sep } from "node:path";
import { suite, test } from "node:test";

const root = join(import.meta.dirname, "../..");

/** Subjects that name no part of the system; a text with one of them says "the client", "the observer" and so on. */
const vague = /\b(?:nobody|somebody|whoever|anybody)\b/gi;

/** Identifiers that only look like such a word. */
const allowed: ReadonlySet<string> = new Set(["noBody"]);

/** Every vague word of a text, as `file:line: word`. */
function vagueWords(file: string, text: string): string[] {
  return text
    .split("\n")
    .flatMap((line, index) =>
      [...line.matchAll(vague)]
        .filter(([word]) => !allowed.has(word))
        .map(([word]) => `${file}:${index + 1}: ${word}`),
    );
}

function vagueWordsIn(...patterns: string[]): string[] {
  const files = globSync(patterns, { cwd: root }).map((path) => path.split(sep).join("/"));
  assert.ok(files.length > 0);
  return files.toSorted().flatMap((file) => vagueWords(file, readFileSync(join(root, file), "utf8")));
}

suite("texts name their subjects", () => {
  test("in comments, errors, logs and help of src/", () => {
    assert.deepEqual(vagueWordsIn("src/**/*.ts"), []);
  });

  test("in docs/ and the READMEs", () => {
    assert.deepEqual(vagueWordsIn("docs/*.md", "README.md", "proto/README.md"), []);
  });

  test("in the programs of examples/, bench/ and conformance/", () => {
    assert.deepEqual(vagueWordsIn("examples/**/*.{ts,js}", "bench/**/*.ts", "conformance/**/*.ts"), []);
  });
});

test("vague words are found in any letter case, with file and line", () => {
  const text = "/** Called once. */\n// Nobody waits; whoever\n// somebodyElse, noBody and anybody's";
  assert.deepEqual(vagueWords("a.ts", text), ["a.ts:2: Nobody", "a.ts:2: whoever", "a.ts:3: anybody"]);
});
