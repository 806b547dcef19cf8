import { test } from "node:test";
import { playRuns } from "./naive-model.ts";

test("members get what a naive model says, in its order, whatever they do", () => playRuns(101, 3000));
