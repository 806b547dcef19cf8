import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { chromium } from "playwright-core";
import { http3 } from "../../src/entries/http3.ts";
import { createCertificate } from "../../test/support/certificates.ts";
import { startGateway } from "../../test/support/gateway-fixture.ts";
import { check } from "./said-check.ts";

/**
 * Chromium at the door of HTTP/3 in this process; prints a line of JSON for each check. To be run in a network of its own
 * whose `lo` has an MTU of 1500.
 */
const { cert, key } = createCertificate({ name: "h3.test", hosts: ["h3.test"] });
await using gateway = await startGateway(
  { tls: { cert, key }, http3: http3({ port: 0 }) },
  [],
  ({ fastify }) => {
    fastify.get("/page", (_, reply) => reply.type("text/html").send("<!doctype html><title>page</title>"));
  },
);
const { port } = gateway.http.http3Address ?? assert.fail("HTTP/3 is not served");
const publicKey = new X509Certificate(cert).publicKey.export({ type: "spki", format: "der" });
const pin = createHash("sha256").update(publicKey).digest("base64");
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    ...[
      "--no-sandbox",
      "--disable-gpu",
      "--disable-sync",
      "--no-first-run",
      "--disable-background-networking",
    ],
    `--origin-to-force-quic-on=h3.test:${port}`,
    `--ignore-certificate-errors-spki-list=${pin}`,
    "--host-resolver-rules=MAP h3.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
const page = await browser.newPage();

await check("a page comes by h3", async () => {
  await page.goto(`https://h3.test:${port}/page`);
  const entries = await page.evaluate(() => {
    const all = performance.getEntries() as unknown as { entryType: string; nextHopProtocol?: string }[]; // As pages see them.
    return all
      .filter(({ entryType }) => entryType === "navigation")
      .map(({ nextHopProtocol }) => nextHopProtocol);
  });
  assert.deepEqual(entries, ["h3"]);
});

await check("fetch, an error, and 200 kB up and down", async () => {
  const statuses = await page.evaluate(async () => {
    const post = (text: string): Promise<Response> =>
      fetch("/test/v1/echo", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ text }),
      });
    const large = await (await post("x".repeat(200_000))).json();
    return [
      (await post("hi")).status,
      (await fetch("/nowhere")).status,
      (large as { text: string }).text.length,
    ];
  });
  assert.deepEqual(statuses, [200, 404, 200_000]);
});

await check("events come as they are sent", async () => {
  const times = await page.evaluate(async () => {
    const answer = await fetch("/test/v1/repeat/x?count=4&intervalMs=200", {
      headers: { accept: "text/event-stream" },
    });
    const reader = answer.body?.getReader();
    const seen: number[] = [];
    while (reader !== undefined && !(await reader.read()).done) seen.push(performance.now());
    return seen;
  });
  assert.ok((times.at(-1) ?? 0) - (times[0] ?? 0) > 300, JSON.stringify(times));
});

await check("1,000 fetches, all by h3", async () => {
  const [good, protocols] = await page.evaluate(async () => {
    performance.clearResourceTimings();
    performance.setResourceTimingBufferSize(2000);
    const all = await Promise.all(Array.from({ length: 1000 }, (_, n) => fetch(`/test/v1/echo/${n}`)));
    const entries = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
    return [
      all.filter(({ ok }) => ok).length,
      [...new Set(entries.map((entry) => entry.nextHopProtocol))],
    ] as const;
  });
  assert.deepEqual([good, protocols], [1000, ["h3"]]);
});

await check("a fetch that is broken off leaves the connection whole", async () => {
  const status = await page.evaluate(async () => {
    const cancel = new AbortController();
    const answer = await fetch("/test/v1/repeat/x?count=1000&intervalMs=50", {
      headers: { accept: "text/event-stream" },
      signal: cancel.signal,
    });
    await answer.body?.getReader().read();
    cancel.abort();
    return (await fetch("/test/v1/echo/after")).status;
  });
  assert.equal(status, 200);
});

await browser.close();
