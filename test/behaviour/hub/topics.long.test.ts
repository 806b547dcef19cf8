import { test } from "node:test";
import { joinAndLeave } from "./join-and-leave.ts";

test("R01: a hundred thousand calls that join and leave leave nothing behind", () => joinAndLeave(100_000));
