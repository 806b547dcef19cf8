import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { loadPeer, requirePeer } from "../../../src/core/config/optional-peer.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";

const missing = "ts-ms-has-no-such-package";

test("a peer that is not installed is an error with the command that installs it", async () => {
  await assert.rejects(
    loadPeer(missing, "the key `x`", () => import(missing)),
    (error) => {
      assert.ok(error instanceof SetupError);
      assert.equal(error.message, `the key \`x\` needs the package ${missing}: \`npm install ${missing}\``);
      return true;
    },
  );
});

test("a peer that is required late is as one that is imported", () => {
  const require = createRequire(import.meta.url);
  assert.throws(() => requirePeer(missing, "the key `x`", () => require(missing) as unknown), {
    message: `the key \`x\` needs the package ${missing}: \`npm install ${missing}\``,
  });
  assert.throws(() => requirePeer("another", "x", () => require(missing) as unknown), {
    code: "MODULE_NOT_FOUND",
  });
  assert.equal(
    requirePeer("node:fs", "x", () => 1),
    1,
  );
});

test("an executable, in which Node finds nothing but its own modules, says that it has no such peer", async () => {
  const cause = Object.assign(new Error(`No such built-in module: ${missing}`), {
    code: "ERR_UNKNOWN_BUILTIN_MODULE",
  });
  await assert.rejects(
    loadPeer(missing, "the key `x`", () => Promise.reject(cause)),
    {
      message: new RegExp(`^the key \`x\` needs the package ${missing}, which this executable does not have`),
    },
  );
});

test("what is wrong inside of a peer is not hidden, and neither is another package", async () => {
  const broken = new Error("broken");
  await assert.rejects(
    loadPeer(missing, "x", () => Promise.reject(broken)),
    broken,
  );
  await assert.rejects(
    loadPeer("another", "x", () => import(missing)),
    { code: "ERR_MODULE_NOT_FOUND" },
  );
  assert.equal(await loadPeer("node:fs", "x", async () => 1), 1);
});
