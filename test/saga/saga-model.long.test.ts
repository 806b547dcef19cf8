import { test } from "node:test";
import { playModels } from "./saga-model.ts";

test("M27 many random sagas with kills, cancellations and deadlines end done or undone", () =>
  playModels(10_000, 15_000));
