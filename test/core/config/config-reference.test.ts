import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Unit as ContractUnit } from "../../../gen/ts_ms/config/v1/key_pb.ts";
import { Unit } from "../../../src/core/config/loader/key-shape.ts";

const root = join(import.meta.dirname, "../../..");

interface Reference {
  readonly textsFile: string;
  readonly shapesFile: string;
  readonly pageFile: string;
  textsCode(): string;
  shapesCode(): Promise<string>;
  pageText(): Promise<string>;
}

const tool = "../../../tools/config-reference.js";
const reference = (await import(tool)) as Reference; // Tools have no types.

// `node tools/run.js tools/config-reference.js` writes them again.
test("the texts of keys are the comments of their fields", () => {
  assert.equal(readFileSync(join(root, reference.textsFile), "utf8"), reference.textsCode());
});

test("the shapes of keys are those of the contract", async () => {
  assert.equal(readFileSync(join(root, reference.shapesFile), "utf8"), await reference.shapesCode());
  const units = Object.entries(ContractUnit).filter(([, number]) => typeof number === "number");
  assert.deepEqual(Object.fromEntries(units), Unit);
});

test("docs/config.md lists every key", async () => {
  assert.equal(readFileSync(join(root, reference.pageFile), "utf8"), await reference.pageText());
});
