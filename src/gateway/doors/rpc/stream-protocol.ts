import type { IncomingHttpHeaders } from "node:http";
import type { Code, ConnectError } from "../../../core/errors/errors.ts";
import type { EnvelopeWriter } from "./envelope-writer.ts";

/** The parts in which protocols of envelopes differ. Names of headers are in lower case. */
export interface StreamProtocol {
  readonly name: "connect" | "grpc-web" | "grpc";
  /** Name of the header with the compression of the sender's messages. */
  readonly encodingHeader: string;
  /** Name of the header with the compressions that the sender accepts. */
  readonly acceptEncodingHeader: string;
  /** The code of requests that break the protocol. */
  readonly malformed: Code;
  /** The client's timeout, in milliseconds; undefined for none. Throws a ConnectError for a malformed one. */
  timeoutMs(headers: IncomingHttpHeaders): number | undefined;
  /**
   * The head that is the whole of a reply without messages and without headers of the service, if the protocol has such
   * a form. It cannot be lost while the client is still sending.
   */
  only?(trailer: Headers, error: ConnectError | undefined): Headers;
  /** Ends a reply that has begun, with its trailers and the status of the call. */
  end(writer: EnvelopeWriter, trailer: Headers, error: ConnectError | undefined): void;
}
