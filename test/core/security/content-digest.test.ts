import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { coveredDigest, isDigestOf } from "../../../src/core/security/signatures/content-digest.ts";

const body = Buffer.from("{}");
const member = (hash: string, of: Buffer = body): string =>
  `${hash.replace("sha", "sha-")}=:${createHash(hash).update(of).digest("base64")}:`;
const [short, long, other] = [member("sha256"), member("sha512"), member("sha256", Buffer.from("x"))];

test("M1 a digest is that of the body where one that is known fits, and none that is known does not", () => {
  for (const good of [short, long, `${short}, ${long}`, `md5=:AAAA:, ${short}`])
    assert.ok(isDigestOf(good, body), good);
  for (const bad of ["", other, `${other}, ${long}`, "md5=:AAAA:", `${short}, x`, short.slice(0, -2)]) {
    assert.ok(!isDigestOf(bad, body), bad);
  }
});

test("M2 what a signature covers of the field: all of it, a member, nothing", () => {
  assert.equal(coveredDigest([short, long], "all"), `${short}, ${long}`);
  assert.equal(coveredDigest([`${other}, ${short}`, long], { member: "sha-256" })?.trim(), short);
  assert.equal(coveredDigest([long], { member: "sha-256" }), undefined);
  assert.equal(coveredDigest([short], undefined), undefined);
  assert.equal(coveredDigest([], "all"), undefined);
});
