import { test } from "node:test";
import { socketRestarts } from "../../conformance/rolling/socket-restarts.ts";

test("a service whose sockets outlive it restarts, and no call on a new connection is lost", () =>
  socketRestarts(2, 600));
