import { test } from "node:test";
import { playKept } from "./kept-model.ts";

for (const first of [61, 561, 1_061, 1_561]) {
  test(`members of two nodes resume, lag and are reset as a naive model says, in 500 runs from ${first}`, () =>
    playKept(first, first + 499));
}
