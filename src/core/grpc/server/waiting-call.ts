import type { CallReports } from "../../admission/call-reports.ts";
import type { CallContext } from "../../call/context.ts";
import { type CallObserver, notifyUnserved } from "../../call/observer.ts";
import type { LiveSet } from "../../call/live-set.ts";
import { Code, ConnectError, toCallError } from "../../errors/errors.ts";
import { errorCode } from "../../http2/http2-error.ts";
import { addFields } from "../metadata.ts";
import type { CallStream, ServerStreamListener } from "./call-stream.ts";
import { onlyTrailers, trailersOf } from "./reply-fields.ts";
import type { LiveCall } from "./server-call.ts";

/**
 * A call that waits for a gate. What the client sends meanwhile is kept without being used, so that it sends no more
 * than its window; the call itself gets it when it is admitted, and everything behind it.
 */
export class WaitingCall implements ServerStreamListener, LiveCall {
  livePlace = -1;
  readonly context: CallContext;
  readonly #stream: CallStream;
  readonly #calls: LiveSet<LiveCall>;
  readonly #reports: CallReports | undefined;
  readonly #observers: readonly CallObserver[];
  #early: Buffer[] = [];
  #requestEnded = false;
  #refused = false;
  /** The call itself, once it is admitted. */
  #admitted: ServerStreamListener | undefined;

  constructor(
    stream: CallStream,
    context: CallContext,
    calls: LiveSet<LiveCall>,
    reports: CallReports | undefined,
    observers: readonly CallObserver[],
  ) {
    this.#reports = reports;
    this.#observers = observers;
    this.context = context;
    this.#stream = stream;
    this.#calls = calls;
    calls.add(this);
  }

  get outsideDispatcher(): boolean {
    return true;
  }

  /** Waits for the gates, then begins the call, or answers with their error. Never rejects. */
  async run(admitted: Promise<void>, begin: (context: CallContext) => ServerStreamListener): Promise<void> {
    try {
      await admitted;
      if (this.context.reason !== undefined) throw this.context.reason;
    } catch (reason) {
      this.#refuse(toCallError(reason));
      return;
    }
    this.#calls.delete(this);
    const call = (this.#admitted = begin(this.context));
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) call.onData(chunk);
    if (this.#requestEnded) call.onEnd();
  }

  onData(chunk: Buffer): void {
    if (this.#admitted !== undefined) this.#admitted.onData(chunk);
    else if (this.#refused) this.#stream.use(chunk.length);
    else this.#early.push(chunk);
  }

  onEnd(): void {
    this.#requestEnded = true;
    this.#admitted?.onEnd();
  }

  onDrain(): void {
    this.#admitted?.onDrain();
  }

  onFinish(): void {
    this.#admitted?.onFinish();
  }

  release(): void {
    if (this.#admitted !== undefined) this.#admitted.release();
    else this.context.abort(new ConnectError("the client cancelled the call", Code.Canceled));
  }

  #refuse(error: ConnectError): void {
    this.#refused = true;
    this.#calls.delete(this);
    answerRefused(this.#stream, this.context, error);
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) this.#stream.use(chunk.length);
    this.context.end();
    notifyUnserved(this.#observers, error, this.context);
    this.#reports?.answered(
      this.context,
      error,
      error === this.context.reason && error.code === Code.Canceled,
    );
  }
}

/** Answers a call that was refused by a head that is the whole of the reply. */
export function answerRefused(stream: CallStream, context: CallContext, error: ConnectError): void {
  try {
    const head = onlyTrailers(trailersOf(context, error), context.answeredId);
    const headers = context.responseHeaderIfAny;
    stream.respond(headers === undefined ? head : { ...head, own: addFields([...head.own], headers) }, true);
  } catch {
    stream.reset(errorCode.internalError); // For example error details that cannot be encoded.
  }
}
