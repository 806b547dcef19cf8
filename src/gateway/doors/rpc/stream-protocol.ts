import type { IncomingHttpHeaders } from "node:http";
import type { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { EnvelopeWriter } from "./envelope-writer.ts";

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
