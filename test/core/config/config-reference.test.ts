import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../../..");

interface Reference {
  readonly textsFile: string;
  readonly pageFile: string;
  textsCode(): string;
  pageText(): Promise<string>;
}

const tool = "../../../tools/config-reference.js";
const reference = (await import(tool)) as Reference; // Tools have no types.

// `node tools/run.js tools/config-reference.js` writes both again.
test("the texts of keys are the comments of their fields", () => {
  assert.equal(readFileSync(join(root, reference.textsFile), "utf8"), reference.textsCode());
});

test("docs/config.md lists every key", async () => {
  assert.equal(readFileSync(join(root, reference.pageFile), "utf8"), await reference.pageText());
});
