/** The suite once more, over `node:http2`. */
process.env["TS_MS_TEST_CLIENT_ENGINE"] = "node";
await import("../behaviour/grpc/http2-connection.test.ts");
