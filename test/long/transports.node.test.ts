/** The suites of `dial` once more, over `node:http2`. */
process.env["TS_MS_TEST_CLIENT_ENGINE"] = "node";
await import("../behaviour/transports/dial.test.ts");
for (const suite of ["calls", "endings.waits", "flow.waits", "interceptors", "metadata"]) {
  await import(`../behaviour/transports/transport-${suite}.test.ts`);
}
