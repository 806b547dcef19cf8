import assert from "node:assert/strict";
import { test } from "node:test";
import { Program } from "../support/program.ts";

test("demo:clients: a server that is found by DNS is killed and comes back, and no call is lost", async () => {
  await using demo = new Program("examples/clients.ts", "--dns");
  await demo.line(/^dial\("dns:\/\/\/goms\.test:\d+"\)$/);
  await demo.line(/^two servers: 127\.0\.0\.1:\d+ [1-9]\d*, 127\.0\.0\.2:\d+ [1-9]\d*$/);
  await demo.line(/^127\.0\.0\.2:\d+ is killed: 127\.0\.0\.1:\d+ [1-9]\d*, 127\.0\.0\.2:\d+ \d+$/);
  await demo.line(/^127\.0\.0\.2:\d+ is back: 127\.0\.0\.1:\d+ [1-9]\d*, 127\.0\.0\.2:\d+ [1-9]\d*$/);
  await demo.line(/^[1-9]\d+ calls, 0 lost$/);
  assert.equal((await demo.exit()).code, 0);
});
