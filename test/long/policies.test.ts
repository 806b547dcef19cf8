import { test } from "node:test";
import { callMany } from "../behaviour/policies/many-calls.ts";

test("K11: 100,000 calls with short pauses and deadlines end in time", (t) => callMany(t, 100_000));
