import assert from "node:assert/strict";
import { test } from "node:test";
import { Lifecycle, type ServerState } from "../../../src/core/lifecycle/lifecycle.ts";

const allowed: Readonly<Record<ServerState, readonly ServerState[]>> = {
  init: ["boot", "stop"],
  boot: ["listen", "error", "graceful", "stop"],
  listen: ["ready", "error", "graceful", "stop"],
  ready: ["graceful", "stop"],
  error: ["boot", "stop"],
  graceful: ["stop"],
  stop: [],
};

const ways: Readonly<Record<ServerState, readonly ServerState[]>> = {
  init: [],
  boot: ["boot"],
  listen: ["boot", "listen"],
  ready: ["boot", "listen", "ready"],
  error: ["boot", "error"],
  graceful: ["boot", "graceful"],
  stop: ["stop"],
};

const states = Object.keys(allowed) as ServerState[]; // The keys are its states.

for (const from of states) {
  for (const to of states) {
    const may = allowed[from].includes(to);
    test(`from ${from} a server ${may ? "can" : "cannot"} go to ${to}`, () => {
      const lifecycle = new Lifecycle();
      for (const state of ways[from]) lifecycle.enter(state);
      assert.equal(lifecycle.state, from);
      if (may) {
        lifecycle.enter(to);
        assert.equal(lifecycle.state, to);
      } else {
        assert.throws(() => lifecycle.enter(to), new RegExp(`"${from}".*"${to}"`));
        assert.equal(lifecycle.state, from);
      }
    });
  }
}

test("listeners hear every change until they unsubscribe", () => {
  const lifecycle = new Lifecycle();
  const heard: ServerState[] = [];
  const unsubscribe = lifecycle.onChange((state) => heard.push(state));
  lifecycle.enter("boot");
  lifecycle.enter("listen");
  unsubscribe();
  lifecycle.enter("ready");
  assert.deepEqual(heard, ["boot", "listen"]);
});
