import type { CallArrival } from "../../call/observer.ts";
import { parseTraceparent, type TraceParent, traceparentHeader } from "../../metadata/trace-context.ts";
import { isOfShare } from "./span-ids.ts";
import type { TracingRules } from "./tracing-options.ts";

/** How a trace goes on. */
export interface SamplingDecision {
  /** The span of the caller; undefined where a new trace begins. */
  readonly parent: TraceParent | undefined;
  readonly sampled: boolean;
}

/**
 * Decides which traces are sampled: as the caller says, else by the ratio. What untrusted callers say counts for so many
 * traces a second, beyond that the ratio decides.
 */
export class Sampling {
  #rules: TracingRules;
  readonly #now: () => number;
  #second = 0;
  #forced = 0;

  /** @param now milliseconds of a clock */
  constructor(rules: TracingRules, now: () => number = () => performance.now()) {
    this.#rules = rules;
    this.#now = now;
  }

  /** From now on these rules hold. */
  update(rules: Partial<TracingRules>): void {
    this.#rules = { ...this.#rules, ...rules };
  }

  get ratio(): number {
    return this.#rules.sampleRatio;
  }

  decide(arrival: CallArrival): SamplingDecision {
    const { accept, sampleRatio } = this.#rules;
    const sent = arrival.head.headers[traceparentHeader];
    const parent = accept === "none" || sent === undefined ? undefined : parseTraceparent(sent);
    if (parent !== undefined && (accept === "all" || arrival.isTrusted)) {
      if (!parent.sampled) return { parent, sampled: false };
      const sampled = arrival.isTrusted || this.#takesForced() || isOfShare(parent.traceId, sampleRatio);
      return { parent, sampled };
    }
    // The id, which is made when it is needed, follows from the decision.
    return { parent: undefined, sampled: sampleRatio > 0 && Math.random() < sampleRatio };
  }

  #takesForced(): boolean {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#forced = 0;
    }
    if (this.#forced >= this.#rules.maxPerSecond) return false;
    this.#forced++;
    return true;
  }
}
