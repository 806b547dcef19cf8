/** The suite once more, over grpc-js. */
process.env["TS_MS_TEST_GRPC_ENGINE"] = "grpc-js";
await import("../behaviour/grpc/lifecycle.waits.test.ts");
