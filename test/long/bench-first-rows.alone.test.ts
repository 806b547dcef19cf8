import { testRows } from "../support/bench-halves.ts";

testRows(0);
