import { grpcHeaders, withStatus } from "../rpc/grpc-status.ts";
import type { StreamProtocol } from "../rpc/stream-protocol.ts";

/**
 * gRPC over HTTP/2: for gateways without a gRPC server on their port, and for JSON and brotli, which the gRPC server
 * does not support.
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
