import { Code, toCallError } from "../core/errors/errors.ts";
import type { Breaker } from "../core/resilience/breaker.ts";
import type { PublishInterceptor } from "./publish-options.ts";

/** What speaks against a broker. */
const failures: ReadonlySet<Code> = new Set([Code.Unavailable, Code.DeadlineExceeded]);

/**
 * A breaker around publishing: while it is open messages are UNAVAILABLE at once, with RetryInfo, and nothing is kept of
 * them. Only UNAVAILABLE and DEADLINE_EXCEEDED count as failures, as far as the breaker's own `codes` have them.
 */
export function breakPublishing(breaker: Breaker): PublishInterceptor {
  return (next) => async (message, signal) => {
    const permit = breaker.acquire();
    try {
      const published = await next(message, signal);
      permit.ok();
      return published;
    } catch (reason) {
      const { code } = toCallError(reason);
      if (failures.has(code)) permit.fail(reason, true);
      else if (code === Code.Canceled) permit.ignore();
      else permit.ok();
      throw reason;
    }
  };
}
