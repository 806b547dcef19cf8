import { test } from "node:test";
import { playPresence } from "./presence-model.ts";

test("nodes and watchers see who is in a room as a list of all calls says, in 2,000 runs", () =>
  playPresence(61, 2_060));
