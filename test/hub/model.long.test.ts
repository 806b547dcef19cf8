import { test } from "node:test";
import { playRuns } from "./naive-model.ts";

for (const first of [101, 1_101, 2_101]) {
  test(`members get what a naive model says, in its order, whatever they do, in 1,000 runs from ${first}`, () =>
    playRuns(first, first + 999));
}
