import { test } from "node:test";
import { playKept } from "./kept-model.ts";

test("members of two nodes resume, lag and are reset as a naive model says, in 2,000 runs", () =>
  playKept(61, 2_060));
