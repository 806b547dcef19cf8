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
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { toStatusMessage } from "../../../core/errors/status-message.ts";
import { type ConnectErrorJson, withoutMetadata } from "../connect/connect-error-json.ts";
import type { EnvelopeWriter } from "./envelope-writer.ts";
import { timeoutOf } from "../connect/connect-unary.ts";
import { headerValue } from "./rpc-call.ts";

/** What a protocol of envelopes has of its own. Names of headers are in lower case. */
export interface StreamProtocol {
  readonly name: "connect" | "grpc-web" | "grpc";
  /** Says how messages of this side may be compressed. */
  readonly encodingHeader: string;
  /** Says which compressions a side reads. */
  readonly acceptEncodingHeader: string;
  /** The code of requests that break the protocol. */
  readonly malformed: Code;
  /** The time that a client gives its call, in milliseconds. Throws a ConnectError for what cannot be read. */
  timeoutMs(headers: IncomingHttpHeaders): number | undefined;
  /**
   * The whole of a reply without messages and headers of the service, where the protocol can say it in one head; it
   * cannot be lost then if the client is still sending.
   */
  only?(trailer: Headers, error: ConnectError | undefined): Headers;
  /** Ends a reply that has begun: with its trailers, and how the call ended. */
  end(writer: EnvelopeWriter, trailer: Headers, error: ConnectError | undefined): void;
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
    timeoutMs: (headers) => timeoutOf(headers["connect-timeout-ms"]),
    end: (writer, trailer, error) => writer.end(endStreamFlag, errorJson.endStream(trailer, error)),
  };
}

const grpcHeaders = {
  encodingHeader: headerEncoding.toLowerCase(),
  acceptEncodingHeader: headerAcceptEncoding.toLowerCase(),
  malformed: Code.Internal,
  timeoutMs(headers: IncomingHttpHeaders): number | undefined {
    const { timeoutMs, error } = parseTimeout(headerValue(headers["grpc-timeout"]), Number.POSITIVE_INFINITY);
    if (error !== undefined) throw new ConnectError("malformed grpc-timeout", Code.Internal);
    return timeoutMs;
  },
} as const;

/**
 * gRPC-Web: every call is a stream of envelopes, and the last of them holds the trailers of gRPC.
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

/** Adds the status of a call to its trailers. */
function withStatus(trailer: Headers, error: ConnectError | undefined): Headers {
  const safe = error && withoutMetadata(error, toStatusMessage(error.rawMessage));
  try {
    return setTrailerStatus(trailer, safe);
  } catch {
    if (safe !== undefined) safe.details = []; // A detail that cannot be serialized must not hide the error.
    return setTrailerStatus(trailer, safe);
  }
}
