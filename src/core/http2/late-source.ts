import type { ConnectError } from "../errors/errors.ts";
import type { ReplyFields } from "./reply-status.ts";
import {
  noTerms,
  type AttemptedCall,
  type AttemptTerms,
  type KeptRequests,
  type Progress,
  type StreamSource,
} from "./stream-source.ts";

/** The source of a call that gets its real source later. */
export abstract class LateSource implements StreamSource {
  /** The real source; undefined before it is known. */
  protected source: StreamSource | undefined;

  get terms(): AttemptTerms {
    return this.source?.terms ?? noTerms;
  }

  get previousAttempts(): number {
    return this.source?.previousAttempts ?? 0;
  }

  keptRequests(): KeptRequests | undefined {
    return this.source?.keptRequests?.();
  }

  abstract begin(call: AttemptedCall): void;

  answered(): void {
    this.source?.answered();
  }

  ended(
    call: AttemptedCall,
    error: ConnectError | undefined,
    progress: Progress,
    trailers?: ReplyFields,
  ): boolean {
    return this.source?.ended(call, error, progress, trailers) ?? false;
  }

  abandoned(call: AttemptedCall, reason: ConnectError): void {
    this.source?.abandoned(call, reason);
  }
}
