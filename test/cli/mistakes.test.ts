/** Mistakes in contracts and names that commands explain: rule 52 of the faces. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { tsMs, tsMsWith } from "../support/ts-ms.ts";

const folder = mkdtempSync(join(tmpdir(), "ts-ms-mistakes-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

test("an rpc whose short name several services have: the full names are offered", async () => {
  const service = (name: string): string =>
    `service ${name} { rpc Get(A) returns (A); rpc Only${name}(A) returns (A); }`;
  const proto = write(
    "two.proto",
    `syntax = "proto3"; package two.v1; message A { string name = 1; } ${service("One")} ${service("Other")}`,
  );
  const { code, stdout, stderr } = await tsMs("call", "127.0.0.1:1", "Get", "--proto", proto);
  assert.deepEqual([code, stdout], [2, ""]);
  assert.equal(
    stderr,
    "ts-ms call: Get may be each of these, so give it in full:\n  two.v1.One/Get\n  two.v1.Other/Get\n",
  );
  // A name that one of them has needs no more.
  const only = await tsMs("call", "127.0.0.1:1", "OnlyOne", "--proto", proto);
  assert.deepEqual(only.code, 64 + 14);
  assert.match(only.stderr, /is it running\? ts-ms doctor 127\.0\.0\.1:1/);
});

test("an import that is not found: the folders that were looked in, and the flag for another", async () => {
  const proto = write(
    "importing.proto",
    'syntax = "proto3"; package importing.v1; import "shop/v1/shop.proto"; message A {}',
  );
  const { code, stdout, stderr } = await tsMs("routes", "--proto", proto);
  assert.deepEqual([code, stdout], [1, ""]);
  assert.match(stderr, /importing\.proto: shop\/v1\/shop\.proto is imported but in none of /);
  assert.ok(stderr.includes(folder), stderr);
  assert.match(stderr, /give the folder that has it by --proto-path$/m);
});

test("two rules for the same requests: both rpcs with their files, and what lint adds is the line", async () => {
  const proto = write(
    "clash.proto",
    `syntax = "proto3";
package clash.v1;
import "google/api/annotations.proto";
message A { string name = 1; }
service ClashService {
  rpc One(A) returns (A) { option (google.api.http) = {get: "/v1/{name}"}; }
  rpc Two(A) returns (A) { option (google.api.http) = {get: "/v1/{name=*}"}; }
}
`,
  );
  const { code, stderr } = await tsMs("routes", "--proto", proto);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /clash\.v1\.ClashService\.One \(clash\.proto\) and .*ClashService\.Two \(clash\.proto\)/,
  );
  const lint = await tsMsWith({ cwd: folder, env: { PATH: "/nowhere" } }, "lint", "--proto", "clash.proto");
  assert.match(lint.stdout, /^clash\.proto:7: route-clash: .*ClashService/m);
});
