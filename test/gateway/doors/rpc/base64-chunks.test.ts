import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Base64Chunks } from "../../../../src/gateway/doors/rpc/base64-chunks.ts";

function decode(...chunks: string[]): string | undefined {
  const base64 = new Base64Chunks();
  const parts = [...chunks.map((chunk) => base64.decode(Buffer.from(chunk))), base64.end()];
  if (parts.some((part) => part === undefined)) return undefined;
  return Buffer.concat(parts.map((part) => part ?? Buffer.alloc(0))).toString();
}

test("G26: base64 is decoded wherever it is split", () => {
  const text = Buffer.from("hello, world!").toString("base64");
  for (let at = 0; at <= text.length; at++) {
    assert.equal(decode(text.slice(0, at), text.slice(at)), "hello, world!", String(at));
  }
  assert.equal(decode(...text.split("")), "hello, world!");
});

for (const [name, chunks, expected] of [
  ["nothing", [], ""],
  ["padding in the middle", ["YQ==YmM=", "ZGVm"], "abcdef"],
  ["padding in the middle, split inside", ["YQ=", "=YmM", "="], "abc"],
  ["padding left out at the end", ["YWI"], "ab"],
  ["a character too many", ["YWJjZ"], undefined],
  ["other characters", ["YW Jj"], undefined],
  ["too much padding", ["Y==="], undefined],
  ["padding alone", ["=YWJ", "===="], undefined],
  ["a digit that is no byte before padding", ["YWJjZ=YQ"], undefined],
] as const) {
  test(`G26: ${name}`, () => assert.equal(decode(...chunks), expected));
}
