import { test } from "node:test";
import { playPresence } from "./presence-model.ts";

for (const first of [61, 561, 1_061, 1_561]) {
  test(`nodes and watchers see who is in a room as a list of all calls says, in 500 runs from ${first}`, () =>
    playPresence(first, first + 499));
}
