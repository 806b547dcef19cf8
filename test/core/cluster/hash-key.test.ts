import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoRequestSchema, EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { hash32 } from "../../../src/core/cluster/hash-32.ts";
import { HashKeys } from "../../../src/core/cluster/hash-key.ts";
import type { AttemptedCall, CallHead } from "../../../src/core/http2/stream-source.ts";

/** What of a call decides on its key. */
function keyOf(
  keys: HashKeys,
  headers: readonly (readonly [name: string, value: string])[],
  requestMessage?: Uint8Array,
): number | undefined {
  const head = {
    method: EchoService.method.echo,
    eachRequestHeader(take: (name: string, value: string) => void) {
      for (const [name, value] of headers) take(name, value);
    },
  };
  // Nothing else of them is read.
  return keys.of(head as unknown as CallHead, { requestMessage } as unknown as AttemptedCall);
}

suite("the key of a header", () => {
  const keys = new HashKeys({ header: "X-User" });
  for (const [what, headers, text] of [
    ["is its value", [["x-user", "ada"]], "ada"],
    [
      "has several values joined by commas",
      [
        ["x-user", "ada"],
        ["x-other", "x"],
        ["x-user", "eve"],
      ],
      "ada,eve",
    ],
    ["is none without the header", [["x-other", "ada"]], undefined],
    ["is none of an empty one", [["x-user", ""]], undefined],
  ] as const) {
    test(what, () => assert.equal(keyOf(keys, headers), text === undefined ? undefined : hash32(text)));
  }
});

suite("the key of a field", () => {
  const bytes = toBinary(
    EchoRequestSchema,
    create(EchoRequestSchema, { text: "ada", behaviour: { sleepMs: 7 } }),
  );
  for (const [field, text] of [
    ["text", "ada"],
    ["behaviour.sleep_ms", "7"],
    ["behaviour.sleepMs", "7"],
    ["behaviour", undefined],
    ["behaviour.failure.code", undefined],
    ["number", undefined],
    ["missing", undefined],
  ] as const) {
    test(`${field}: ${text ?? "none"}`, () => {
      const key = keyOf(new HashKeys({ field }), [], bytes);
      assert.equal(key, text === undefined ? undefined : hash32(text));
    });
  }

  test("is none of bytes that cannot be read", () => {
    assert.equal(keyOf(new HashKeys({ field: "text" }), [], Uint8Array.of(0xff)), undefined);
  });
});
