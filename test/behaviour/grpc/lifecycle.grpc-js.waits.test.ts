/** The suite once more, over grpc-js. */
process.env["TS_MS_TEST_GRPC_ENGINE"] = "grpc-js";
await import("./lifecycle.waits.test.ts");
