import type { DescMethod } from "@bufbuild/protobuf";
import type { ConnectError } from "../errors/errors.ts";
import type { Opener } from "./call-queue.ts";
import type { TakeHeader } from "../metadata/header-source.ts";
import type { MergedConnectionOptions } from "./connection-options.ts";
import type { ReplyFields } from "./reply-status.ts";

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
  /** Deadline of the call in `performance.now()` milliseconds; undefined for none. */
  readonly deadline: number | undefined;
  /** Whether it is a copy whose reply is of no interest: it gets one attempt. Default: false. */
  readonly isShadow?: boolean;
  /** Sets a deadline so many milliseconds from now, unless the call has an earlier one. */
  limit(timeoutMs: number): void;
}

/** What holds for each attempt of a call. */
export interface AttemptTerms {
  /** The longest time of one attempt, in milliseconds; undefined for that of the call. */
  readonly attemptTimeoutMs: number | undefined;
  /** The largest request message, in bytes; undefined for any. */
  readonly maxRequestBytes: number | undefined;
  /** The largest reply message, in bytes; undefined for that of the connection. */
  readonly maxResponseBytes: number | undefined;
}

/** The terms of a call without a policy. */
export const noTerms: AttemptTerms = Object.freeze({
  attemptTimeoutMs: undefined,
  maxRequestBytes: undefined,
  maxResponseBytes: undefined,
});

/** Request messages of a stream that a further attempt would send again. */
export interface KeptRequests {
  /** Whether it has all messages so far; otherwise there can be no further attempt. */
  readonly isWhole: boolean;
  /** The messages so far, in their order. */
  readonly messages: readonly Uint8Array[];
  /** A message is sent. */
  keep(message: Uint8Array): void;
  /** There will be no further attempt. */
  release(): void;
}

/** A call whose attempts a `StreamSource` decides. */
export interface AttemptedCall extends Opener {
  /** Streams that were opened for it so far. */
  readonly attempts: number;
  /** Whether its request can be sent once more, from the begin. */
  readonly repeatable: boolean;
  /** Whether its whole request is there and kept, so that `twin` can begin with it. Undefined for calls without `twin`. */
  readonly canTwin?: boolean;
  /** Whether a part of the reply has been handed to the caller. */
  readonly committed: boolean;
  /** Size of the request of a unary call; undefined for streams. */
  readonly requestBytes: number | undefined;
  /** Resets the stream of the attempt in progress, which is over; the call is not. */
  cut(): void;
  /** Begins another call with the same request, whose reply is that of this call too. Not for streams of requests. */
  twin?(source: StreamSource): AttemptedCall;
  /** Ends the call without a reply: its twin has one. */
  drop(): void;
  /** The request of a unary call in binary form; undefined for streams. */
  readonly requestMessage?: Uint8Array | undefined;
}

/** Gives the streams of one call, and decides after each attempt whether there is another one. */
export interface StreamSource {
  readonly terms: AttemptTerms;
  /** Attempts before this one that count, for `grpc-previous-rpc-attempts`. */
  readonly previousAttempts: number;
  /** Where the requests of a stream are kept. Default: in memory of the call, up to 64 KiB. */
  keptRequests?(): KeptRequests | undefined;
  /** Opens a stream for `call`, now or later, or refuses the call. */
  begin(call: AttemptedCall): void;
  /** Headers of a reply have come. */
  answered(): void;
  /**
   * An attempt has ended, with a reply or with its stream.
   *
   * @param error undefined for OK
   * @param trailers of the reply, with the fields of the protocol; undefined if none have come
   * @returns whether another attempt has begun, or will begin; otherwise the call ends
   */
  ended(
    call: AttemptedCall,
    error: ConnectError | undefined,
    progress: Progress,
    trailers?: ReplyFields,
  ): boolean;
  /** This side has ended the call, whether it had a stream or not: it was cancelled, is late, or the reply is faulty. */
  abandoned(call: AttemptedCall, reason: ConnectError): void;
}

/** Where calls get their streams: one connection, or many. */
export interface StreamSources {
  readonly options: MergedConnectionOptions;
  /** An rpc will be called; called once for each. */
  know?(method: DescMethod): void;
  /** The source of one call; calls may share one. */
  sourceOf(call: CallHead): StreamSource;
}
