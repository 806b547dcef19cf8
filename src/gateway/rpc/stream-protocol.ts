import {
  endStreamFlag,
  headerStreamAcceptEncoding,
  headerStreamEncoding,
} from "@connectrpc/connect/protocol-connect";
import {
  headerAcceptEncoding,
  headerEncoding,
  parseTimeout,
  setTrailerStatus,
  trailerFlag,
  trailerSerialize,
} from "@connectrpc/connect/protocol-grpc-web";
import type { IncomingHttpHeaders } from "node:http";
import { Code, ConnectError } from "../../core/errors.ts";
import { type ConnectErrorJson, withoutMetadata } from "./connect-error-json.ts";
import { timeoutOf } from "./connect-unary.ts";
import { headerValue } from "./rpc-call.ts";

/** What a protocol of envelopes has of its own. Names of headers are in lower case. */
export interface StreamProtocol {
  readonly name: "connect" | "grpc-web";
  /** Says how messages of this side may be compressed. */
  readonly encodingHeader: string;
  /** Says which compressions a side reads. */
  readonly acceptEncodingHeader: string;
  /** The code of requests that break the protocol. */
  readonly malformed: Code;
  /** The flag of the envelope that ends a stream. */
  readonly endFlag: number;
  /** The time that a client gives its call, in milliseconds. Throws a ConnectError for what cannot be read. */
  timeoutMs(headers: IncomingHttpHeaders): number | undefined;
  /** What the last envelope holds: trailers, and how the call ended. Never throws. */
  end(trailer: Headers, error: ConnectError | undefined): Uint8Array;
}

/**
 * The streams of the Connect protocol.
 *
 * @see https://connectrpc.com/docs/protocol#streaming-rpcs
 */
export function connectStreams(errorJson: ConnectErrorJson): StreamProtocol {
  return {
    name: "connect",
    encodingHeader: headerStreamEncoding.toLowerCase(),
    acceptEncodingHeader: headerStreamAcceptEncoding.toLowerCase(),
    malformed: Code.InvalidArgument,
    endFlag: endStreamFlag,
    timeoutMs: (headers) => timeoutOf(headers["connect-timeout-ms"]),
    end: (trailer, error) => errorJson.endStream(trailer, error),
  };
}

/**
 * gRPC-Web: every call is a stream of envelopes, and the last of them holds the trailers of gRPC.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
export const grpcWeb: StreamProtocol = Object.freeze<StreamProtocol>({
  name: "grpc-web",
  encodingHeader: headerEncoding.toLowerCase(),
  acceptEncodingHeader: headerAcceptEncoding.toLowerCase(),
  malformed: Code.Internal,
  endFlag: trailerFlag,
  timeoutMs(headers) {
    const { timeoutMs, error } = parseTimeout(headerValue(headers["grpc-timeout"]), Number.POSITIVE_INFINITY);
    if (error !== undefined) throw new ConnectError("malformed grpc-timeout", Code.Internal);
    return timeoutMs;
  },
  end(trailer, error) {
    const safe = error && withoutMetadata(error);
    try {
      return trailerSerialize(setTrailerStatus(trailer, safe));
    } catch {
      if (safe !== undefined) safe.details = []; // A detail that cannot be serialized must not hide the error.
      return trailerSerialize(setTrailerStatus(trailer, safe));
    }
  },
});
