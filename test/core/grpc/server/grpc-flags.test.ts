import assert from "node:assert/strict";
import { test } from "node:test";
import { grpcFlags, grpcOptions } from "../../../../src/core/grpc/server/grpc-flags.ts";
import { parseFlags } from "../../../../src/core/config/flags.ts";

const optionsOf = (...words: string[]): ReturnType<typeof grpcOptions> =>
  grpcOptions(parseFlags("test", grpcFlags, words));

test("flags of a gRPC server say where it listens and whom it believes", () => {
  assert.deepEqual(optionsOf(), { host: "127.0.0.1", port: 42001, trustedPeers: [] });
  assert.deepEqual(
    optionsOf("--grpc-port", "0", "--trusted-peer", "spiffe://a/gateway", "--trusted-peer", "gw.example"),
    { host: "127.0.0.1", port: 0, trustedPeers: ["spiffe://a/gateway", "gw.example"] },
  );
  assert.equal(optionsOf("--trusted-peer", "everybody").trustedPeers, "everybody");
  assert.throws(
    () => optionsOf("--trusted-peer", "everybody", "--trusted-peer", "gw.example"),
    /--trusted-peer everybody allows no other name/,
  );
});
