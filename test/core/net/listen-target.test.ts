import assert from "node:assert/strict";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { listenTarget } from "../../../src/core/net/listen-target.ts";

/** More connections than Node lets wait by itself. */
const backlog = 4_096;

test("hosts, paths and descriptors", () => {
  assert.deepEqual(listenTarget("HTTP", "::1", 80, {}), { host: "::1", port: 80, backlog });
  assert.deepEqual(listenTarget("HTTP", "unix:/run/a", 80, {}), { path: "/run/a", backlog });
  assert.deepEqual(listenTarget("HTTP", "fd.example", 80, {}), { host: "fd.example", port: 80, backlog });
});

test("E21: a descriptor that is no socket, and one that was not passed, are named", () => {
  const fd = openSync(import.meta.filename, "r");
  try {
    assert.throws(
      () => listenTarget("HTTP", `fd:${fd}`, 0, {}),
      new RegExp(`^TypeError: HTTP cannot listen on fd:${fd}: this descriptor is no socket`),
    );
  } finally {
    closeSync(fd);
  }
  assert.throws(() => listenTarget("GRPC", "fd:999", 0, {}), /fd:999: this descriptor is no socket/);
  const passed = { LISTEN_FDS: "2" };
  assert.throws(() => listenTarget("GRPC", "fd:5", 0, passed), /LISTEN_FDS is 2.*are fd:3 to fd:4$/);
  assert.throws(() => listenTarget("GRPC", "fd:2", 0, { LISTEN_FDS: "1" }), /are fd:3$/);
  assert.throws(() => listenTarget("GRPC", "fd:3", 0, { LISTEN_FDS: "0" }), /are none$/);
});
