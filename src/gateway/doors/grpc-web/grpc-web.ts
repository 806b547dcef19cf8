import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { grpcHeaders, withStatus } from "../rpc/grpc-status.ts";
import type { StreamProtocol } from "../rpc/stream-protocol.ts";

/**
 * gRPC-Web: every call is a stream of envelopes, the last of which contains the trailers of gRPC.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
export const grpcWeb: StreamProtocol = Object.freeze<StreamProtocol>({
  ...grpcHeaders,
  name: "grpc-web",
  end(writer, trailer, error) {
    writer.end(trailerFlag, trailerSerialize(withStatus(trailer, error)));
  },
});
