import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "node:test";
import { GrpcServer } from "../../src/index.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { KillableFront } from "../support/killable-front.ts";
import { curlJson, Program } from "../support/program.ts";

test("E20: a sidecar starts later than its program, and ends earlier", async (t) => {
  await using library = new GrpcServer({ port: 0 }).addService(new LibraryService());
  await library.start();
  await using sidecar = await new KillableFront(library.address?.port ?? 0).start();
  await sidecar.kill();
  await using gateway = new Program(
    "examples/http-only.ts",
    ...["--http-port=0", "--exporter-port=off", "--log-level=fatal"],
    ...[`--upstream=library=${sidecar.address}`, "--drain-delay=3s"],
  );
  const url = `http://${await gateway.address("HTTP")}/v1/shelves`;

  await t.test("without it calls are UNAVAILABLE at once", async () => {
    const tookMs: number[] = [];
    for (let call = 0; call < 20; call++) {
      const startedMs = performance.now();
      const response = await fetch(url);
      const { code } = (await response.json()) as { code: number }; // By the form of errors.
      tookMs.push(performance.now() - startedMs);
      assert.deepEqual([response.status, code], [503, 14]);
    }
    assert.ok(Math.min(...tookMs) < 50, tookMs.join());
  });

  await t.test("when it is there they are served", async () => {
    await sidecar.start();
    const endMs = performance.now() + 20_000;
    while ((await curlJson(url))[0] !== 200) {
      assert.ok(performance.now() < endMs);
      await delay(50);
    }
  });

  await t.test("when it has ended the program drains, and ends well", async () => {
    const ended = gateway.stop();
    await sidecar.kill();
    assert.equal((await curlJson(url))[0], 503);
    const { code, afterMs } = await ended;
    assert.equal(code, 0);
    assert.ok(afterMs > 2_500, `${afterMs} ms`);
  });
});
