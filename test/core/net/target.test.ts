import assert from "node:assert/strict";
import { test } from "node:test";
import { parseTarget } from "../../../src/core/net/target.ts";

const good: Readonly<Record<string, readonly [host: string, authority: string, ...addresses: object[]]>> = {
  "users.internal:42001": ["users.internal", "users.internal:42001", { host: "users.internal", port: 42001 }],
  "127.0.0.1:1": ["127.0.0.1", "127.0.0.1:1", { host: "127.0.0.1", port: 1 }],
  "[::1]:65535": ["::1", "[::1]:65535", { host: "::1", port: 65535 }],
  "[fe80::1%eth0]:80": ["fe80::1%eth0", "[fe80::1%eth0]:80", { host: "fe80::1%eth0", port: 80 }],
  "dns:users:1": ["users", "users:1", { host: "users", port: 1 }],
  "dns:///users:1": ["users", "users:1", { host: "users", port: 1 }],
  "dns://8.8.8.8/users:1": ["users", "users:1", { host: "users", port: 1 }],
  "passthrough:///users:1": ["users", "users:1", { host: "users", port: 1 }],
  "ipv4:10.0.0.1:1,10.0.0.2:2": [
    "10.0.0.1",
    "10.0.0.1:1",
    { host: "10.0.0.1", port: 1 },
    { host: "10.0.0.2", port: 2 },
  ],
  "ipv6:[::1]:1": ["::1", "[::1]:1", { host: "::1", port: 1 }],
  "unix:/run/users.sock": ["localhost", "localhost", { path: "/run/users.sock" }],
  "unix:///run/users.sock": ["localhost", "localhost", { path: "/run/users.sock" }],
  "unix:users.sock": ["localhost", "localhost", { path: "users.sock" }],
  "unix-abstract:users": ["localhost", "localhost", { path: "\0users" }],
};

for (const [target, [host, authority, ...addresses]] of Object.entries(good)) {
  test(`${target} is read`, () => {
    assert.deepEqual(parseTarget(target), { host, authority, addresses });
  });
}

for (const target of [
  "",
  ":",
  "users",
  "users:",
  "users:0x1",
  "users:65536",
  "http://users:1",
  "xds:///users",
  "dns:",
  "unix:",
  "ipv4:10.0.0.1:1,",
  "[::1]",
  "a b:1",
  "users:1/x",
]) {
  test(`${JSON.stringify(target)} is refused`, () => {
    assert.throws(() => parseTarget(target), TypeError);
  });
}

for (const [target, meant] of [
  ["users", 'such as "users:50051"'],
  ["[::1]", 'such as "[::1]:50051"'],
  ["::1", 'such as "[::1]:50051"'],
  ["http://users:1/", 'without a scheme: "users:1"'],
] as const) {
  test(`the refusal of ${target} says what was meant`, () => {
    const message = `cannot dial "${target}": a target is "host:port" or "unix:/path", ${meant}`;
    assert.throws(() => parseTarget(target), { message });
  });
}
