import { test } from "node:test";
import { playKept } from "./kept-model.ts";

test("members of two nodes resume, lag and are reset as a naive model says", () => playKept(1, 40));
