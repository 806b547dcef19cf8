import { test } from "node:test";
import { playModels } from "./saga-model.ts";

for (const first of [10_000, 15_000, 20_000]) {
  test(`M27 many random sagas with kills, cancellations and deadlines end done or undone, from ${first}`, () =>
    playModels(first, 5_000));
}
