import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  compressedFlag,
  flagsAt,
  lengthAt,
  markCompressed,
  prefixBytes,
  withPrefix,
  writePrefix,
} from "../../../src/core/wire/message-prefix.ts";

test("a prefix is read as it was written", () => {
  const bytes = Buffer.alloc(prefixBytes);
  for (const flags of [0, 1, 2, 128, 255]) {
    for (const length of [0, 1, 255, 256, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]) {
      writePrefix(bytes, flags, length);
      assert.equal(flagsAt(bytes, 0), flags);
      assert.equal(lengthAt(bytes, 0), length);
      assert.equal(lengthAt(Buffer.concat([Buffer.of(9), bytes]), 1), length);
    }
  }
});

test("messages look as Connect writes them", () => {
  for (const flags of [0, 1, 2, 128]) {
    for (const length of [0, 1, 300, 70_000]) {
      const message = new Uint8Array(length).fill(7);
      assert.ok(withPrefix(message, flags).equals(encodeEnvelope(flags, message)), `${length} bytes`);
    }
  }
});

test("a prefix that is written already can be marked", () => {
  const framed = withPrefix(Uint8Array.of(1, 2));
  markCompressed(framed, prefixBytes);
  assert.ok(framed.equals(withPrefix(Uint8Array.of(1, 2), compressedFlag)));
});
