import assert from "node:assert/strict";
import { test } from "node:test";
import { readCommandLine } from "../../../src/core/config/flags.ts";
import { registerFlags } from "../../../src/core/lifecycle/lifecycle-flags.ts";

for (const [line, register, address] of [
  ["--register consul", { kind: "consul", name: undefined }, undefined],
  ["--register=consul=users", { kind: "consul", name: "users" }, undefined],
  ["--register consul --register-address 10.0.0.1", undefined, { address: "10.0.0.1", port: undefined }],
  ["--register consul --register-address users.test:80", undefined, { address: "users.test", port: 80 }],
  ["--register consul --register-address [fd00::1]:80", undefined, { address: "fd00::1", port: 80 }],
  ["--register consul --register-address [fd00::1]", undefined, { address: "fd00::1", port: undefined }],
] as const) {
  test(line, () => {
    const read = readCommandLine("mine", registerFlags, line.split(" "));
    assert.ok(read.kind === "run");
    if (register !== undefined) assert.deepEqual(read.flags.register, register);
    assert.deepEqual(read.flags.registerAddress, address);
  });
}

for (const [line, expected] of [
  ["--register etcd", /"etcd" for --register: must be consul or consul=NAME/],
  ["--register consul=", /must be consul or consul=NAME/],
  ["--register-tag v2", /--register-tag needs --register/],
  ["--register-address a", /--register-address needs --register/],
  ["--register consul --register-address a:0", /must be HOST or HOST:PORT/],
  ["--register consul --register-address a:70000", /must be HOST or HOST:PORT/],
  ["--register consul --register-address fd00::1", /must be HOST or HOST:PORT, IPv6 in brackets/],
  ["--consul ftp://a", /must be http:\/\/HOST:PORT or https:\/\/HOST:PORT/],
] as const) {
  test(`${line} is refused`, () => {
    const read = readCommandLine("mine", registerFlags, line.split(" "));
    assert.ok(read.kind === "refuse");
    assert.match(read.text, expected);
  });
}
