import type { AttemptedCall, StreamSource } from "../http2/stream-source.ts";
import type { HedgeBooks } from "../resilience/hedge.ts";
import type { Clock } from "../time/clock.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import { HedgeGroup, type HedgedAttempt } from "./hedge-group.ts";

/** What the first attempt of a hedged call gives its group. */
export interface HedgeHost {
  readonly clock: Clock;
  /** Whether an endpoint can be called that none of these is. */
  hasUntried(tried: readonly ClusterEndpoint[]): boolean;
  /** The source of another attempt. @param previous attempts before it */
  another(group: HedgeGroup, previous: number): HedgedAttempt & StreamSource;
  /** The call has ended. */
  finished(code: number, nowMs: number): void;
}

/** The attempts of a call that run side by side: each is a call of its own on the wire, with the same request. */
export function hedgeGroup(
  first: HedgedAttempt,
  call: AttemptedCall,
  books: HedgeBooks,
  host: HedgeHost,
): HedgeGroup {
  const group: HedgeGroup = new HedgeGroup(first, {
    books,
    clock: host.clock,
    canBegin: (tried) => call.canTwin === true && host.hasUntried(tried),
    begin: (previous) => {
      const attempt = host.another(group, previous);
      call.twin?.(attempt);
      return attempt;
    },
    finished: (code, nowMs) => host.finished(code, nowMs),
  });
  return group;
}
