import { BenchBooksService } from "../../gen/tsms/test/v1/bench_books_pb.ts";
import type { Cluster } from "../../src/core/cluster/cluster.ts";
import type { ConnectError } from "../../src/core/errors/errors.ts";
import type { AttemptedCall, CallHead, StreamSource } from "../../src/core/http2/stream-source.ts";
import type { Session } from "../../src/core/http2/session.ts";
import { BackendSession } from "./backends.ts";
import type { Timeline } from "./timeline.ts";

/** The mean time of a call at a backend, in milliseconds. */
const serviceMs = 10;

const method = BenchBooksService.methods[0];

/** The head of every call: without headers and deadline. */
class Head implements CallHead {
  readonly method: CallHead["method"];
  readonly deadline = undefined;

  constructor(one: CallHead["method"]) {
    this.method = one;
  }

  eachRequestHeader(): void {}

  limit(): void {}
}

/** What becomes of calls. */
export interface CallOutcomes {
  answered: number;
  failed: number;
}

/** A call of a gateway to a backend, whose reply comes after some time. */
class Call implements AttemptedCall {
  attempts = 0;
  readonly repeatable = true;
  readonly committed = false;
  readonly requestBytes = 0;
  readonly #source: StreamSource;
  readonly #timeline: Timeline;
  readonly #tookMs: number;
  readonly #outcomes: CallOutcomes;

  constructor(source: StreamSource, timeline: Timeline, tookMs: number, outcomes: CallOutcomes) {
    this.#source = source;
    this.#timeline = timeline;
    this.#tookMs = tookMs;
    this.#outcomes = outcomes;
  }

  open(session: Session): void {
    this.attempts++;
    if (!(session instanceof BackendSession)) throw new Error("a session of another kind");
    session.open();
    this.#timeline.after(this.#tookMs, () => {
      session.replied();
      this.#outcomes.answered++;
      this.#source.answered();
      this.#source.ended(this, undefined, "maybe", {});
    });
  }

  refuse(_error: ConnectError): void {
    this.#outcomes.failed++;
  }

  cut(): void {}

  drop(): void {}
}

/**
 * Calls of all gateways for some time, at a mean rate each.
 *
 * @param perSecond calls of each gateway
 */
export async function callFor(
  clusters: readonly Cluster[],
  perSecond: number,
  forMs: number,
  timeline: Timeline,
  random: () => number,
): Promise<CallOutcomes> {
  const outcomes: CallOutcomes = { answered: 0, failed: 0 };
  if (method === undefined) throw new Error("the service has no rpc");
  const head = new Head(method);
  const endMs = timeline.nowMs() + forMs;
  const exponential = (mean: number): number => -Math.log(1 - random()) * mean;
  const next = (cluster: Cluster): void => {
    const source = cluster.sourceOf(head);
    source.begin(new Call(source, timeline, exponential(serviceMs), outcomes));
    const pauseMs = exponential(1_000 / perSecond);
    if (timeline.nowMs() + pauseMs < endMs) timeline.after(pauseMs, () => next(cluster));
  };
  for (const cluster of clusters) timeline.after(exponential(1_000 / perSecond), () => next(cluster));
  await timeline.until(endMs + 1_000);
  return outcomes;
}
