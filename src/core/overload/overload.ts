import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import type { CallHead } from "../admission/call-head.ts";
import type { Gate } from "../admission/gate.ts";
import { refusal } from "../admission/refusal.ts";
import { CallContext, type EndListener } from "../call/context.ts";
import { whenCallEnds } from "../call/gate-context.ts";
import { retryInfo, unavailableFor } from "../errors/retry-info.ts";
import { networkOf } from "../net/client-network.ts";
import { principal } from "../security/principal.ts";
import { systemClock, type Clock } from "../time/clock.ts";
import { contractCriticality } from "./contract-criticality.ts";
import { FairShare, type Criticality } from "./fair-share.ts";
import { Gradient } from "./gradient.ts";
import { LoopLag } from "./loop-lag.ts";
import { LoopTurns } from "./loop-turns.ts";
import { memoryUse } from "./memory.ts";
import { toOverloadOptions, type OverloadOptions } from "./overload-options.ts";
import { WaitingCalls } from "./waiting.ts";

/** Why a call was refused, as the metric `ts_ms_shed_total` labels it. */
export type ShedReason = "lag" | "concurrency" | "memory";

/** Calls that were refused since the start. */
export interface ShedCount {
  readonly reason: ShedReason;
  readonly criticality: Criticality;
  readonly calls: number;
}

/** What overload control does now. */
export interface OverloadState {
  readonly state: "normal" | "shedding" | "memory";
  /** Unary calls in flight, and the most that there may be. */
  readonly inFlight: number;
  readonly limit: number;
  readonly waiting: number;
  readonly lagMs: number;
}

/** What overload control needs beside its options. */
export interface OverloadParts {
  /** Default: what the contract of an rpc says. */
  readonly criticalityOf?: (method: DescMethod) => Criticality;
  readonly clock?: Clock;
  /** Returns numbers from 0 to 1. */
  readonly random?: () => number;
  /** How full the memory is, from 0 to 1. */
  readonly memory?: () => number;
  /** Calls a function once what has arrived from the network is handled. */
  readonly afterTurn?: (fn: () => void) => void;
  /** The part of the time since the last question in which the event loop had something to do, from 0 to 1. */
  readonly utilization?: () => number;
}

/** What is known of the calls of an rpc. */
interface CallKind {
  readonly isExempt: boolean;
  readonly isUnary: boolean;
  readonly criticality: Criticality;
}

/** The time between two measurements of the lag, in milliseconds. */
const sampleMs = 20;
/** Measurements between two looks at the memory, and between two turns of the counts of callers: half a second. */
const samplesPerTurn = 25;
/**
 * Below this part of its time an event loop has no backlog: it is late because other programs have the processor, and
 * calls that are refused would help none.
 */
const busyAbove = 0.6;
/** How long calls count as too many after one has found no place, in milliseconds. */
const fullMs = 1_000;
/** How much more than is completed is let through, so that there is always something to do. */
const probing = 1.25;
/** How much longer than others calls may come late that are not among the first to be refused. */
const patience = 2;
/** Memory above the limit at which streams end, and the share of them that ends at a time. */
const streamsEndAbove = 0.05;
const streamsEndShare = 0.1;
/** When refused callers come again, in milliseconds: at random between these. */
const leastRetryMs = 500;
const mostRetryMs = 1_500;

/** Refuses calls at their head while there are more than this process can serve. */
export class Overload {
  /** Belongs before all other gates. */
  readonly gate: Gate;
  readonly #parts: Required<OverloadParts>;
  #options: OverloadOptions;
  #lag: LoopLag;
  readonly #waiting: WaitingCalls;
  readonly #gradient = new Gradient();
  readonly #fair = new FairShare();
  readonly #kinds = new Map<DescMethod, CallKind>();
  readonly #shed = new Map<string, number>();
  readonly #streams = new Map<CallContext, { readonly criticality: Criticality; readonly caller: string }>();
  readonly #unaryEnd: EndListener;
  readonly #streamEnd: EndListener;
  #inFlight = 0;
  #limit: number;
  /** Whether more has to be asked than for a place. */
  #isBusy = false;
  #memoryUse = 0;
  #fullUntilMs = Number.NEGATIVE_INFINITY;
  /** Calls that ended in this half second, and in the one before. */
  #completed = { now: 0, before: 0 };
  readonly #turns: LoopTurns;
  #samples = 0;
  #cancelTimer: (() => void) | undefined;

  /** @throws SetupError for options that cannot be used */
  constructor(options: Partial<OverloadOptions> = {}, parts: OverloadParts = {}) {
    this.#parts = {
      criticalityOf: contractCriticality,
      clock: systemClock,
      random: Math.random,
      memory: memoryUse,
      afterTurn: setImmediate,
      utilization: loopUtilization(),
      ...parts,
    };
    this.#options = toOverloadOptions(options);
    this.#lag = new LoopLag(this.#options.targetLagMs);
    const { queue, queueWaitMs } = this.#options;
    this.#waiting = new WaitingCalls(queue, queueWaitMs, this.#parts.clock);
    this.#turns = new LoopTurns({
      afterTurn: this.#parts.afterTurn,
      nowMs: () => this.#parts.clock.nowMs(),
      ended: (calls, ms) => this.#lag.served(calls, ms),
    });
    this.#limit = this.#firstLimit();
    this.#unaryEnd = {
      ended: (context) => this.#ended(context),
    };
    this.#streamEnd = { ended: (context) => void this.#streams.delete(context) };
    this.gate = { name: "overload", countsCalls: true, admit: (call) => this.#admit(call) };
  }

  /** Begins to measure, until `stop`. It does not keep the process alive. */
  start(): this {
    if (this.#cancelTimer === undefined) this.#measureLater();
    return this;
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Takes other options; what was learnt of latencies stays. @throws SetupError as the constructor */
  replace(options: Partial<OverloadOptions>): void {
    this.#options = toOverloadOptions(options);
    this.#lag = new LoopLag(this.#options.targetLagMs);
    this.#waiting.replace(this.#options.queue, this.#options.queueWaitMs);
    this.#limit = this.#firstLimit();
  }

  get state(): OverloadState {
    const isShedding = this.#lag.share > 0 || this.#isFull();
    return {
      state: this.#isMemoryFull() ? "memory" : isShedding ? "shedding" : "normal",
      inFlight: this.#inFlight,
      limit: this.#limit,
      waiting: this.#waiting.size + this.#turns.waiting,
      lagMs: this.#lag.lagMs,
    };
  }

  /** How many calls were refused. */
  get shed(): readonly ShedCount[] {
    return [...this.#shed].map(([key, calls]) => {
      const [reason, criticality] = key.split(" ") as [ShedReason, Criticality]; // As `#refused` writes it.
      return { reason, criticality, calls };
    });
  }

  #admit(call: CallHead): void | Promise<void> {
    const kind = this.#kinds.get(call.method) ?? this.#kindOf(call.method);
    if (kind.isExempt) return;
    return this.#mustWait() ? this.#waitForTurn(call, kind) : this.#admitNow(call, kind);
  }

  #admitNow(call: CallHead, kind: CallKind): void | Promise<void> {
    if (!this.#isBusy && (!kind.isUnary || this.#inFlight < this.#limit)) this.#enter(call, kind, "");
    else return this.#admitBusy(call, kind);
  }

  /**
   * Whether calls have kept this turn of the event loop for so long that a further one waits for the next. While calls are
   * refused for their lag, those of a turn that are too many are refused as well.
   */
  #mustWait(): boolean {
    if (this.#lag.share > 0) return false;
    if (this.#turns.waiting > 0) return true;
    return this.#turns.lastedMs(this.#parts.clock.nowMs()) > this.#options.targetLagMs;
  }

  #waitForTurn(call: CallHead, kind: CallKind): Promise<void> {
    const { context } = call;
    return new Promise((resolve, reject) => {
      this.#turns.wait(this.#parts.clock.nowMs(), (waitedMs) => {
        if (isOver(context)) return false;
        try {
          this.#checkWait(waitedMs, kind);
          resolve(this.#admitNow(call, kind));
          return true;
        } catch (reason) {
          reject(reason);
          return false;
        }
      });
    });
  }

  #admitBusy(call: CallHead, kind: CallKind): void | Promise<void> {
    const { criticality, isUnary } = kind;
    const caller = callerOf(call);
    this.#fair.count(criticality, caller);
    if (this.#isMemoryFull()) throw this.#refused("memory", criticality);
    const chance = this.#fair.chance(criticality, caller);
    if (chance > 0 && !this.#isRoomy() && this.#parts.random() < chance) {
      throw this.#refused(this.#lag.share > 0 ? "lag" : "concurrency", criticality);
    }
    const isFirst = chance > 0 || criticality === "SHEDDABLE" || !this.#fair.isSharing;
    if (this.#lag.share > 0 && criticality !== "CRITICAL" && this.#isTurnOver(isFirst)) {
      throw this.#refused("lag", criticality);
    }
    if (!isUnary || this.#inFlight < this.#limit) {
      this.#turns.calls++;
      this.#enter(call, kind, caller);
      return;
    }
    this.#fullUntilMs = this.#parts.clock.nowMs() + fullMs;
    this.#isBusy = true;
    if (criticality === "SHEDDABLE") throw this.#refused("concurrency", criticality);
    return this.#wait(call, criticality);
  }

  /** @throws ConnectError for a call that has waited for a turn for too long by now */
  #checkWait(waitedMs: number, { criticality }: CallKind): void {
    if (this.#lag.share === 0 || criticality === "CRITICAL") return;
    if (waitedMs > this.#lag.aimMs * patience) throw this.#refused("lag", criticality);
  }

  /**
   * Whether what arrived together has taken so long already that the rest would be late.
   *
   * @param isFirst whether the call is one of those that are refused before others
   */
  #isTurnOver(isFirst: boolean): boolean {
    const lastedMs = this.#turns.lastedMs(this.#parts.clock.nowMs());
    if (lastedMs <= this.#lag.aimMs * (isFirst ? 1 : patience)) return false;
    this.#lag.turnRefused();
    return true;
  }

  #enter({ context }: CallHead, { isUnary, criticality }: CallKind, caller: string): void {
    if (isUnary) {
      this.#inFlight++;
      if (context instanceof CallContext) context.onEnd(this.#unaryEnd);
      else this.#enterForeign(context);
    } else if (context instanceof CallContext) {
      this.#streams.set(context, { criticality, caller });
      context.onEnd(this.#streamEnd);
    }
  }

  #enterForeign(context: CallHead["context"]): void {
    const sinceMs = this.#parts.clock.nowMs();
    whenCallEnds(context, () => this.#leave(sinceMs, undefined));
  }

  #wait({ context }: CallHead, criticality: Criticality): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): boolean => {
        if (isOver(context)) return false;
        this.#inFlight++;
        this.#enterForeign(context);
        resolve();
        return true;
      };
      this.#waiting.add(enter, () => reject(this.#refused("concurrency", criticality)));
    });
  }

  /** A handler may work on after its client has left: then the call ends with that. */
  #ended(context: CallContext): void {
    const { work, reason, startedAt } = context;
    if (reason === undefined || work === undefined) {
      this.#leave(startedAt, context);
      return;
    }
    const left = (): void => this.#leave(startedAt, context);
    work.then(left, left);
  }

  #leave(sinceMs: number, context: CallContext | undefined): void {
    const inFlight = this.#inFlight--;
    if (this.#isBusy) this.#completed.now++;
    // The time of a call that its client has left says nothing.
    if (this.#options.maxConcurrent === "adaptive" && context?.reason?.code !== Code.Canceled) {
      const nowMs = this.#parts.clock.nowMs();
      this.#gradient.add(nowMs - sinceMs, inFlight, nowMs);
      this.#limit = this.#gradient.limit;
    }
    while (this.#waiting.size > 0 && this.#inFlight < this.#limit && this.#waiting.next());
  }

  #measureLater(): void {
    const { clock } = this.#parts;
    const dueMs = clock.nowMs() + sampleMs;
    this.#cancelTimer = clock.after(
      sampleMs,
      () => {
        this.#measured(Math.max(0, clock.nowMs() - dueMs));
        this.#measureLater();
      },
      false,
    );
  }

  #measured(lagMs: number): void {
    const { clock, utilization } = this.#parts;
    const nowMs = clock.nowMs();
    const isBacklog = utilization() >= busyAbove;
    const isStep = this.#lag.sample(isBacklog ? Math.max(lagMs, this.#turns.waitedMs(nowMs)) : 0, nowMs);
    if (++this.#samples % samplesPerTurn === 0) this.#turn();
    const isBusy = this.#lag.isAlert || this.#isFull() || this.#isMemoryFull();
    if (isBusy) {
      if (isStep) this.#share();
    } else if (this.#isBusy) {
      this.#fair.clear();
      this.#completed = { now: 0, before: 0 };
      this.#waiting.isSustained = false;
    }
    this.#isBusy = isBusy;
  }

  #share(): void {
    const full = this.#shareOfFull();
    this.#waiting.isSustained = full > 0;
    this.#fair.share = Math.max(this.#lag.share, full);
  }

  #turn(): void {
    this.#memoryUse = this.#parts.memory();
    if (this.#memoryUse > this.#options.maxMemory + streamsEndAbove) this.#endStreams();
    if (!this.#isBusy) return;
    this.#fair.turn();
    for (const { criticality, caller } of this.#streams.values()) this.#fair.count(criticality, caller);
    this.#completed = { now: 0, before: this.#completed.now };
  }

  /** The share of calls for which there is no place. */
  #shareOfFull(): number {
    if (!this.#isFull()) return 0;
    const { now, before } = this.#completed;
    const come = this.#fair.total;
    return come === 0 ? 0 : Math.max(0, 1 - (probing * (now + before)) / come);
  }

  /** Ends the streams that are open for the longest time. */
  #endStreams(): void {
    const count = Math.ceil(this.#streams.size * streamsEndShare);
    const error = unavailableFor("the server runs out of memory", this.#retryMs());
    for (const context of [...this.#streams.keys()].slice(0, count)) context.abort(error);
  }

  /** Whether so few calls are in flight that to refuse one would leave places empty: what was completed says too little. */
  #isRoomy(): boolean {
    return this.#lag.share === 0 && this.#inFlight < this.#limit / 2;
  }

  #isFull(): boolean {
    return this.#parts.clock.nowMs() < this.#fullUntilMs;
  }

  #isMemoryFull(): boolean {
    return this.#memoryUse > this.#options.maxMemory;
  }

  #refused(reason: ShedReason, criticality: Criticality): ConnectError {
    const key = `${reason} ${criticality}`;
    this.#shed.set(key, (this.#shed.get(key) ?? 0) + 1);
    return refusal({
      kind: "overload",
      code: Code.Unavailable,
      reason: "OVERLOADED",
      message: "the server has too much to do",
      metadata: { cause: reason },
      details: [retryInfo(this.#retryMs())],
    });
  }

  #retryMs(): number {
    return leastRetryMs + this.#parts.random() * (mostRetryMs - leastRetryMs);
  }

  #firstLimit(): number {
    const { maxConcurrent } = this.#options;
    return maxConcurrent === "adaptive" ? this.#gradient.limit : maxConcurrent;
  }

  #kindOf(method: DescMethod): CallKind {
    const isExempt = /^(?:grpc\.health\.|ts_ms\.admin\.)/.test(method.parent.typeName);
    const isUnary = method.methodKind === "unary";
    const kind = { isExempt, isUnary, criticality: this.#parts.criticalityOf(method) };
    this.#kinds.set(method, kind);
    return kind;
  }
}

/** How busy the event loop was since the last question. */
function loopUtilization(): () => number {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    return utilization;
  };
}

/** Whether a call has ended before it was let in. */
function isOver(context: CallHead["context"]): boolean {
  return context instanceof CallContext && (context.isEnded || context.reason !== undefined);
}

/** Who makes a call, as far as it is known before the authentication. */
function callerOf({ context, peer, client }: CallHead): string {
  const found = principal(context);
  if (found !== undefined) return `principal ${found.provider} ${found.id}`;
  return peer === undefined ? networkOf(client.ip) : `peer ${peer.fingerprint}`;
}
