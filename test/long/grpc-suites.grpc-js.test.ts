/** The suites of the gRPC server once more, over grpc-js. */
process.env["TS_MS_TEST_GRPC_ENGINE"] = "grpc-js";
for (const suite of ["grpc-server", "requests", "streams.long", "tls", "connection-life", "http2-acceptor"]) {
  await import(`../behaviour/grpc/${suite}.test.ts`);
}
await import("../core/grpc/server/message-compression.test.ts");
