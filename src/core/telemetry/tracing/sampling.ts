import type { CallArrival } from "../../call/observer.ts";
import { parseTraceparent, type TraceParent, traceparentHeader } from "../../metadata/trace-context.ts";
import type { TracingRules } from "./tracing-options.ts";

/** How a trace goes on. */
export interface SamplingDecision {
  /** The span of the caller; undefined where a new trace begins. */
  readonly parent: TraceParent | undefined;
  readonly sampled: boolean;
}

/** Values of the last 14 hexadecimal digits of a trace id. */
const idRange = 2 ** 56;

/** Whether a trace that begins is sampled, by its id alone: the same at every server with this ratio. */
export function sampledByRatio(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true;
  if (ratio <= 0) return false;
  return Number.parseInt(traceId.slice(18), 16) < ratio * idRange;
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

  /** @param newId gives the id of a trace that begins */
  decide(
    arrival: CallArrival,
    newId: () => string,
  ): SamplingDecision & { readonly traceId: string | undefined } {
    const { accept, sampleRatio } = this.#rules;
    const sent = arrival.head.headers[traceparentHeader];
    const parent = accept === "none" || sent === undefined ? undefined : parseTraceparent(sent);
    if (parent !== undefined && (accept === "all" || arrival.isTrusted)) {
      if (!parent.sampled) return { parent, sampled: false, traceId: parent.traceId };
      const sampled = arrival.isTrusted || this.#takesForced() || sampledByRatio(parent.traceId, sampleRatio);
      return { parent, sampled, traceId: parent.traceId };
    }
    // Ids of traces that are certainly not sampled are made when they are needed.
    if (sampleRatio <= 0) return { parent: undefined, sampled: false, traceId: undefined };
    const traceId = newId();
    return { parent: undefined, sampled: sampledByRatio(traceId, sampleRatio), traceId };
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
