import { test } from "node:test";
import { playRuns } from "./naive-model.ts";

test("members get what a naive model says, in its order, whatever they do", () => playRuns(1, 100));
