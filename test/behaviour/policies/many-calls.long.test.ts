import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Code } from "../../../src/core/errors/errors.ts";
import { idempotent, scriptedEcho, unavailable } from "../../support/scripted-echo.ts";
import { dialSeveral } from "../../support/several-servers.ts";
import { callMany } from "./many-calls.ts";

test("K11: 3,000 calls with short pauses and deadlines end in time", (t) => callMany(t, 3_000));

test("K13: what a stream sends after the headers of its reply is not kept", async (t) => {
  const { address } = await scriptedEcho(t, () => "", {
    async *chat(requests) {
      yield { text: "headers" };
      for await (const request of requests) void request;
      throw unavailable();
    },
  });
  const { client } = dialSeveral(t, [address], { policies: [idempotent()] });
  let begun: () => void = () => {};
  const answered = new Promise<void>((resolve) => (begun = resolve));
  const payload = new Uint8Array(1024 * 1024);
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void; // As the flag says.
  const mostBytes = 16 * 1024 * 1024;
  let keptBytes = 0;
  async function* requests() {
    yield { payload };
    await answered;
    collect();
    const before = process.memoryUsage().arrayBuffers;
    for (let sent = 0; sent < 96; sent++) yield { payload };
    // The memory of buffers is given back by threads of their own, on a busy machine some turns behind the collection.
    for (let turn = 0; turn === 0 || (turn < 200 && keptBytes >= mostBytes); turn++) {
      collect();
      keptBytes = process.memoryUsage().arrayBuffers - before;
      await nextTurn();
    }
  }
  await assert.rejects(
    async () => {
      for await (const reply of client.chat(requests())) {
        assert.equal(reply.text, "headers");
        begun();
      }
    },
    { code: Code.Unavailable },
  );
  assert.ok(keptBytes < mostBytes, `${Math.round(keptBytes / 1024 / 1024)} MiB of 96 MiB`);
});
