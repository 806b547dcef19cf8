import {
  headerAcceptEncoding,
  headerEncoding,
  setTrailerStatus,
} from "@connectrpc/connect/protocol-grpc-web";
import type { IncomingHttpHeaders } from "node:http";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { pushbackText } from "../../../core/errors/pushback-text.ts";
import { toStatusMessage } from "../../../core/errors/status-message.ts";
import { pushbackHeader } from "../../../core/metadata/retry-headers.ts";
import { parseTimeout } from "../../../core/wire/grpc-timeout.ts";
import { withoutMetadata } from "./bare-error.ts";
import { headerValue } from "../../http/header-value.ts";

/** The common parts of gRPC and gRPC-Web as protocols of envelopes: header names, codes and timeouts. */
export const grpcHeaders = {
  encodingHeader: headerEncoding.toLowerCase(),
  acceptEncodingHeader: headerAcceptEncoding.toLowerCase(),
  malformed: Code.Internal,
  timeoutMs(headers: IncomingHttpHeaders): number | undefined {
    const text = headerValue(headers["grpc-timeout"]);
    if (text === null) return undefined;
    const timeoutMs = parseTimeout(text);
    if (timeoutMs === undefined) throw new ConnectError("malformed grpc-timeout", Code.Internal);
    return timeoutMs;
  },
} as const;

/** Adds the status of a call to its trailers. */
export function withStatus(trailer: Headers, error: ConnectError | undefined): Headers {
  const safe = error && withoutMetadata(error, toStatusMessage(error.rawMessage));
  const pushback = error && pushbackText(error);
  if (pushback !== undefined) trailer.set(pushbackHeader, pushback);
  try {
    return setTrailerStatus(trailer, safe);
  } catch {
    if (safe !== undefined) safe.details = []; // A detail that cannot be serialized must not hide the error.
    return setTrailerStatus(trailer, safe);
  }
}
