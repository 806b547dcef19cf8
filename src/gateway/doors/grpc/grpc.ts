import { grpcHeaders, withStatus } from "../rpc/grpc-status.ts";
import type { StreamProtocol } from "../rpc/stream-protocol.ts";

/**
 * gRPC itself, over HTTP/2: for gateways without a gRPC server behind their port, and for what the engine of those
 * does not speak, JSON and brotli.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export const grpc: StreamProtocol = Object.freeze<StreamProtocol>({
  ...grpcHeaders,
  name: "grpc",
  only: withStatus,
  end(writer, trailer, error) {
    writer.endWithTrailers(withStatus(trailer, error));
  },
});
