import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { Agent as HttpAgent, get as getPlain } from "node:http";
import { Agent as HttpsAgent, get as getSecure } from "node:https";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createCertificate } from "../support/certificates.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";
import { callTimes, quantile, WaitingServer } from "../support/waiting-server.ts";

const client = join(import.meta.dirname, "fixtures/connecting-client.ts");
const forMs = 30_000;

// A full handshake takes both ends two milliseconds, and they share this machine.
for (const [form, rate] of [
  ["plain", 2_000],
  ["tls", 300],
] as const) {
  test(`O08: ${rate} new connections a second for 30 s lose none and delay no other traffic: ${form}`, async (t) => {
    await using files = await TemporaryFiles.create();
    const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost"] });
    await files.write("cert.pem", cert);
    await files.write("key.pem", key);
    using server = await WaitingServer.start(form === "tls" ? files.folder : undefined);
    const options = { keepAlive: true, maxSockets: 1 };
    const agent =
      form === "tls" ? new HttpsAgent({ ...options, rejectUnauthorized: false }) : new HttpAgent(options);
    const get = form === "tls" ? getSecure : getPlain;
    const scheme = form === "tls" ? "https" : "http";
    const call = (): Promise<void> =>
      new Promise((resolve, reject) => {
        get(`${scheme}://127.0.0.1:${server.port}/test/v1/echo/a`, { agent }, (response) => {
          response.resume().once("end", resolve);
        }).once("error", reject);
      });
    try {
      await callTimes(call, 2_000);
      const alone = quantile(await callTimes(call, 5_000), 0.99);
      let isOver = false;
      const crowd = promisify(execFile)(process.execPath, [
        client,
        ...[server.port, rate, forMs].map(String),
        form,
      ]).finally(() => (isOver = true));
      const times: number[] = [];
      while (!isOver) times.push(...(await callTimes(call, 10)));
      const beside = quantile(times, 0.99);
      const [, failed, made] = /failed (\d+) of (\d+)/.exec((await crowd).stdout) ?? [];
      t.diagnostic(
        `${made} connections, p99 ${alone.toFixed(2)} ms alone, ${beside.toFixed(2)} ms beside them`,
      );
      assert.equal(failed, "0");
      assert.ok(Number(made) >= (rate * forMs * 0.98) / 1000, `${made} connections`);
      assert.ok(beside < 3 * alone, `p99 ${alone} ms alone, ${beside} ms beside new connections`);
    } finally {
      agent.destroy();
    }
  });
}
