import type { ConnectError } from "../errors/errors.ts";
import type { TakeHeader } from "../metadata/header-source.ts";
import type { CallContext } from "./context.ts";

/** The span of one attempt of a call to another server. */
export interface AttemptTrace {
  /** Calls `take` with the headers of the attempt that say which span it is. */
  eachHeader(take: TakeHeader): void;
  /** The attempt has ended; undefined for OK. Only the first end counts. */
  end(error: ConnectError | undefined): void;
}

/** Makes spans of calls to other servers. */
export interface ClientTracer {
  /**
   * An attempt begins.
   *
   * @param authority of the server
   * @param previousAttempts of the same call
   */
  begin(context: CallContext, authority: string, previousAttempts: number): AttemptTrace;
}

/** What traces the calls to other servers of this process; undefined while traces are off. */
export const clientTracing: { tracer: ClientTracer | undefined } = { tracer: undefined };
