import {
  endStreamFlag,
  headerStreamAcceptEncoding,
  headerStreamEncoding,
} from "@connectrpc/connect/protocol-connect";
import { Code } from "../../../core/errors/errors.ts";
import type { StreamProtocol } from "../rpc/stream-protocol.ts";
import type { ConnectErrorJson } from "./connect-error-json.ts";
import { connectTimeoutMs } from "../deadline.ts";

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
    timeoutMs: connectTimeoutMs,
    end: (writer, trailer, error) => writer.end(endStreamFlag, errorJson.endStream(trailer, error)),
  };
}
