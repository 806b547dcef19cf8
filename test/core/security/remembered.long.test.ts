/** Measures memory, for which it collects all of the heap again and again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { RememberedCredentials, rememberedBytes } from "../../../src/core/security/remembered.ts";
import { remember } from "./remember-token.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // As the flag says.

const max = 5_000;

/** What each token says beside its owner. */
const shapes = {
  "a few claims": (id: number) => ({
    scope: "books:read books:write",
    roles: ["reader"],
    jti: `token-${id}`,
  }),
  "a list of groups": (id: number) => ({
    groups: Array.from({ length: 40 }, (_, at) => `group-${id}-${at}`),
  }),
  "long texts": (id: number) => ({ picture: `${id}`.padEnd(4_000, "x"), name: `Ω${id}`.padEnd(500, "y") }),
  "many small values": (id: number) =>
    Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [`claim${at}`, at % 2 === 0 ? id + at : [`${id}`]]),
    ),
};

/** Memory of what lives. */
function liveBytes(): number {
  for (let round = 0; round < 3; round++) collect();
  return process.memoryUsage().heapUsed;
}

for (const [name, claims] of Object.entries(shapes)) {
  test(`U7 remembered tokens need a kibibyte each, with ${name}`, () => {
    const tokens = new RememberedCredentials(max);
    const before = liveBytes();
    let last = "";
    for (let id = 0; id < 2 * max; id++) last = remember(tokens, id, claims(id));
    const bytes = liveBytes() - before;
    assert.ok(bytes <= max * rememberedBytes, `${Math.round(bytes / max)} bytes for each of ${max} places`);
    assert.ok(bytes >= 0.3 * max * rememberedBytes, `${bytes} bytes: tokens are forgotten too early`);
    assert.ok(tokens.size <= max);
    assert.equal(tokens.get(last, 0)?.principal.id, `user-${2 * max - 1}`);
  });
}
