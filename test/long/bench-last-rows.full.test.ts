import { testRows } from "../support/bench-parts.ts";

testRows(2);
