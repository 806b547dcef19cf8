/** The suite once more, over `node:http2`. */
process.env["TS_MS_TEST_SERVER_ENGINE"] = "node";
await import("../behaviour/identity/peer-identity.long.test.ts");
