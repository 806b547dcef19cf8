import { test } from "node:test";
import { playModels } from "./saga-model.ts";

test("M27 random sagas with kills, cancellations and deadlines end done or undone, with each effect as it must be", () =>
  playModels(1, 400));
