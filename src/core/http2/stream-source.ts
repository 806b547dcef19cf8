import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectError } from "../errors/errors.ts";
import type { Opener } from "./call-queue.ts";
import type { TakeHeader } from "../metadata/header-source.ts";
import type { MergedConnectionOptions } from "./connection-options.ts";

/** How far the request of an attempt came: whether another attempt could make the server process the call twice. */
export type Progress =
  /** Nothing of it was sent. */
  | "unsent"
  /** The server states that it has not processed it: REFUSED_STREAM, or a stream beyond the last one of GOAWAY. */
  | "unprocessed"
  /** The server may have processed it. */
  | "maybe";

/** What is known of a call before it begins. */
export interface CallHead {
  readonly method: DescMethod;
  /** Calls `take` with every header of the request, the name in lower case. */
  eachRequestHeader(take: TakeHeader): void;
}

/** A call whose attempts a `StreamSource` decides. */
export interface AttemptedCall extends Opener {
  /** Streams that were opened for it so far. */
  readonly attempts: number;
  /** Whether its request can be sent once more, from the begin. */
  readonly repeatable: boolean;
  /** The request of a unary call in binary form; undefined for streams. */
  readonly requestMessage?: Uint8Array | undefined;
}

/** Gives the streams of one call, and decides after each attempt whether there is another one. */
export interface StreamSource {
  /** Opens a stream for `call`, now or later, or refuses the call. */
  begin(call: AttemptedCall): void;
  /** Headers of a reply have come. */
  answered(): void;
  /**
   * An attempt has ended, with a reply or with its stream.
   *
   * @param error undefined for OK
   * @returns whether another attempt has begun, or will begin; otherwise the call ends
   */
  ended(call: AttemptedCall, error: ConnectError | undefined, progress: Progress): boolean;
  /** This side has ended the call, whether it had a stream or not: it was cancelled, is late, or the reply is faulty. */
  abandoned(call: AttemptedCall, reason: ConnectError): void;
}

/** Where calls get their streams: one connection, or many. */
export interface StreamSources {
  readonly options: MergedConnectionOptions;
  /** The source of one call; calls may share one. */
  sourceOf(call: CallHead): StreamSource;
}
