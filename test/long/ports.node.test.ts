/** The suite once more, over `node:http2`. */
process.env["TS_MS_TEST_SERVER_ENGINE"] = "node";
await import("../behaviour/stops/ports.waits.long.test.ts");
