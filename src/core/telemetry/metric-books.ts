import type { Durations } from "./durations.ts";

/** The book of one rpc called by one protocol. */
export interface CallSeries {
  readonly labels: { readonly service: string; readonly method: string; readonly protocol: string };
  readonly durations: Durations;
  /** How many calls ended, by status number from 0 to 16. */
  readonly finished: number[];
  /** The same for a service's own numbers above 16. */
  readonly ownCodes: Map<number, number>;
  started: number;
  ended: number;
  faults: number;
}

/** The book of one HTTP method on one route. */
export interface HttpSeries {
  readonly labels: { readonly route: string; readonly method: string };
  readonly durations: Durations;
  /** How many requests were answered, by status. */
  readonly byStatus: Map<number, number>;
}

/** The number of something, with the labels it has on the page. */
export interface Tally {
  readonly labels: Readonly<Record<string, string>>;
  count: number;
}

/** Everything that is counted: plain numbers, which become metrics when somebody reads the page. */
export interface MetricBooks {
  calls(): CallSeries[];
  http(): HttpSeries[];
  /** Exceptions and rejections outside of any call, by origin. */
  readonly processFaults: ReadonlyMap<string, Tally>;
  /** Names that were ignored, by kind and route. */
  readonly ignored: ReadonlyMap<string, Tally>;
}
