import assert from "node:assert/strict";
import { test } from "node:test";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { DoorInUse } from "../../../src/gateway/http3/door-in-use.ts";
import type { Http3Door } from "../../../src/gateway/http3/http3-door.ts";
import type { Http3Kit } from "../../../src/gateway/http3/http3-kit.ts";
import { takeOver } from "../../../src/gateway/http3/take-over.ts";

const kit = {} as Http3Kit; // These doors look at nothing.

/** A door whose attempts to listen fail one after the other. */
function doorOf(errors: readonly Error[]): Http3Door {
  const left = [...errors];
  return {
    listen: () => Promise.reject(left.shift() ?? new Error("it was asked too often")),
  } as unknown as Http3Door;
}

const opened = (): void => assert.fail("it cannot open");

test("48: what is in the way of the door at its start ends the start, a port in use does not", async () => {
  const { signal } = new AbortController();
  const failed = (): void => assert.fail("the start says so");
  const missing = new SetupError("the package is missing");
  await assert.rejects(takeOver(doorOf([missing]), kit, opened, failed, signal), missing);
});

test("48: what is in the way of the door behind the start is told, and ends nothing", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const unreadable = new Error("the certificate cannot be read");
  const door = doorOf([new DoorInUse("in use"), unreadable]);
  await takeOver(door, kit, opened, resolve, new AbortController().signal);
  const keeps = setTimeout(() => {}, 30_000); // Its pause lets the process end.
  assert.equal(await promise, unreadable);
  clearTimeout(keeps);
});
