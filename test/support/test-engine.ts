import nodeModule from "node:module";
import net from "node:net";
import tls from "node:tls";
import type { DialOptions } from "../../src/core/dial.ts";
import type { GrpcServerOptions } from "../../src/core/grpc-server.ts";
import type { HttpServerOptions } from "../../src/gateway/http-server-options.ts";

/**
 * Chooses the engine of clients under test, where a test names none: files named `*.node.test.ts` set the variable and
 * run suites a second time, over `node:http2`.
 */
export const testEngine: Partial<DialOptions> =
  process.env["TS_MS_TEST_CLIENT_ENGINE"] === "node" ? { engine: "node" } : {};

/**
 * Chooses the engine of the HTTP/2 of gateways under test, where a test names none: files named `*.node.test.ts` set the
 * variable and run a suite a second time, over `node:http2`.
 */
export const testServerEngine: Pick<Partial<HttpServerOptions>, "engine"> = process.env[
  "TS_MS_TEST_SERVER_ENGINE"
] === "node"
  ? { engine: "node" }
  : {};

/**
 * The engine of gRPC servers under test: files named `*.grpc-js.test.ts` set the variable and run suites a second time,
 * over grpc-js.
 */
export const testGrpcEngine: Partial<GrpcServerOptions> =
  process.env["TS_MS_TEST_GRPC_ENGINE"] === "grpc-js" ? { engine: "grpc-js" } : {};

/**
 * Overwrites what a socket has read into a buffer of ours as soon as that was handled: whatever still points there shows
 * up as nonsense. Holds for the whole process.
 */
function overwriteReads(module: { connect: unknown }): void {
  const connect = module.connect as (...args: unknown[]) => unknown; // Of `node:net` and `node:tls`.
  module.connect = (first: unknown, ...others: unknown[]): unknown => {
    const { onread } = (first ?? {}) as { onread?: net.OnReadOpts };
    if (onread === undefined) return connect(first, ...others);
    const overwriting = (bytes: number, read: Uint8Array): boolean => {
      const goesOn = onread.callback(bytes, read);
      read.fill(0xaa);
      return goesOn;
    };
    return connect({ ...(first as object), onread: { ...onread, callback: overwriting } }, ...others);
  };
}

for (const module of [net, tls]) overwriteReads(module);
nodeModule.syncBuiltinESMExports();
