import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "../call/context.ts";
import type { ConnectError } from "../errors/errors.ts";

/** Is told of the calls of a server while it looks. Unlike an observer it has no say in who else is notified. */
export interface CallWatcher {
  /** Whether calls that begin now are of interest. */
  readonly isLooking: boolean;
  /** A call that is of interest begins. */
  began(context: CallContext): void;
  /** A call has ended of whose begin it was told; `error` is undefined for OK. */
  ended(context: CallContext, error: ConnectError | undefined): void;
}

/** The calls of one rpc by one protocol since the snapshot before. */
export interface CallFigures {
  readonly method: DescMethod;
  readonly protocol: string;
  readonly started: number;
  readonly ended: number;
  /** Of those that ended, the ones that failed, by their codes. */
  readonly failed: ReadonlyMap<number, number>;
  /** Calls under way. */
  readonly open: number;
  /** Time of calls in milliseconds, which so many percent did not exceed, to within 5 %; undefined if none ended. */
  readonly p50: number | undefined;
  readonly p90: number | undefined;
  readonly p99: number | undefined;
}

/** Buckets of times for each doubling, and in all: from a microsecond to more than an hour. */
const perDoubling = 8;
const bucketCount = 32 * perDoubling;

/** What is counted of one rpc by one protocol. */
class Series {
  readonly method: DescMethod;
  readonly protocol: string;
  started = 0;
  finished = 0;
  open = 0;
  failed = new Map<number, number>();
  readonly #buckets = new Uint32Array(bucketCount);

  constructor({ method, protocolName }: CallContext) {
    this.method = method;
    this.protocol = protocolName;
  }

  took(ms: number): void {
    const bucket = Math.floor(Math.log2(Math.max(1, ms * 1000)) * perDoubling);
    const at = Math.min(bucketCount - 1, bucket);
    this.#buckets[at] = (this.#buckets[at] ?? 0) + 1;
  }

  /** The figures since the last time. */
  take(): CallFigures {
    const { method, protocol, started, finished, open, failed } = this;
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((part) => this.#within(finished * part));
    this.started = this.finished = 0;
    this.failed = new Map();
    this.#buckets.fill(0);
    return { method, protocol, started, ended: finished, failed, open, p50, p90, p99 };
  }

  #within(rank: number): number | undefined {
    let count = 0;
    for (const [bucket, more] of this.#buckets.entries()) {
      count += more;
      if (count > 0 && count >= rank) return 2 ** ((bucket + 0.5) / perDoubling) / 1000;
    }
    return undefined;
  }
}

/**
 * Counts and times of calls, by rpc and protocol, for a page that shows them as they change. Nothing is counted while
 * no reader looks.
 */
export class CallBooks implements CallWatcher {
  readonly #series = new Map<string, Map<DescMethod, Series>>();
  readonly #open = new WeakMap<CallContext, Series>();
  #readers = 0;

  get isLooking(): boolean {
    return this.#readers > 0;
  }

  /** Begins to count for a reader. @returns what ends that; with the last reader all counts are dropped */
  look(): () => void {
    this.#readers++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--this.#readers === 0) this.#series.clear();
    };
  }

  began(context: CallContext): void {
    const series = this.#of(context);
    series.started++;
    series.open++;
    this.#open.set(context, series);
  }

  ended(context: CallContext, error: ConnectError | undefined): void {
    const series = this.#open.get(context);
    if (series === undefined) return;
    series.open--;
    series.finished++;
    series.took(performance.now() - context.startedAt);
    if (error !== undefined) series.failed.set(error.code, (series.failed.get(error.code) ?? 0) + 1);
  }

  /** The figures since the snapshot before, of all rpcs that were called since the first reader looked. */
  snapshot(): readonly CallFigures[] {
    return [...this.#series.values()].flatMap((methods) => [...methods.values()].map((one) => one.take()));
  }

  #of(context: CallContext): Series {
    let methods = this.#series.get(context.protocolName);
    if (methods === undefined)
      this.#series.set(context.protocolName, (methods = new Map<DescMethod, Series>()));
    let series = methods.get(context.method);
    if (series === undefined) methods.set(context.method, (series = new Series(context)));
    return series;
  }
}
