import type { DescMethod, DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import type { ReplyBatch } from "../call/batches.ts";
import { CallContext } from "../call/context.ts";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import { peerIdentity } from "../metadata/peer-identity.ts";
import type { BytesInvoker } from "../call/invoker-forms.ts";
import { OutcomeBook } from "./outcome.ts";
import { ShadowQueue, type HeldBytes } from "./shadow-queue.ts";

/** Header of copies. */
export const shadowHeader = "x-ts-ms-shadow";

/** Time of a copy whose caller has no deadline; of a stream, after the end of the call that it copies; in milliseconds. */
const shadowTimeoutMs = 30_000;

/** The copy of a call, which goes to the shadow. */
export class ShadowCall {
  readonly method: DescMethod;
  readonly primary: OutcomeBook;
  readonly shadow: OutcomeBook;
  /** Whether it was ended before its time: it was too slow, or its caller has left. */
  wasCut = false;
  readonly #held: HeldBytes;
  readonly #context: CallContext;
  readonly #over: (call: ShadowCall) => void;
  #queue: ShadowQueue | undefined;
  #hasBegun = false;

  /**
   * @param original the context of the call that is copied
   * @param over is called once, when both have ended
   */
  constructor(
    method: DescMethod,
    original: CallContext,
    protocolName: string,
    held: HeldBytes,
    over: (call: ShadowCall) => void,
  ) {
    this.method = method;
    this.primary = new OutcomeBook(held);
    this.shadow = new OutcomeBook(held);
    this.#held = held;
    this.#over = over;
    const requestHeader = new Headers(original.requestHeader);
    requestHeader.set(shadowHeader, "1");
    const isUnary = method.methodKind === "unary";
    this.#context = new CallContext({
      method,
      protocolName,
      requestHeader,
      peer: peerIdentity(original),
      timeoutMs: original.timeoutMs() ?? (isUnary ? shadowTimeoutMs : undefined),
      isShadow: true,
    });
  }

  /** Makes the call with one request. */
  call(shadow: BytesInvoker, method: DescMethodUnary, request: Uint8Array): void {
    const read = (reply: Uint8Array): void => this.shadow.add(reply);
    const release = (): void => this.#held.release(request.length);
    void this.#run(async () => {
      try {
        await shadow.unaryBytes(method, request, this.#context, read);
      } finally {
        release();
      }
    });
  }

  /** Begins the call with a stream; `queue` is to be fed. */
  open(shadow: BytesInvoker, method: DescMethodStreaming): ShadowQueue {
    const queue = (this.#queue = new ShadowQueue(this.#held));
    const read = (batch: ReplyBatch): void => {
      while (!batch.done) this.shadow.add(batch.next());
    };
    void this.#run(async () => {
      const replies = shadow.streamBytes(method, queue, this.#context, read);
      while ((await replies.next()).done !== true); // Read to the end.
    });
    return queue;
  }

  /** The copied call has ended. @param wasLeft whether by its caller, who has cancelled it or whose time is over */
  primaryEnded(code: Code | undefined, wasLeft: boolean): void {
    const { primary } = this;
    if (primary.isOver) return;
    if (!this.#hasBegun && this.method.methodKind !== "unary") {
      // The callee has not read the request, so nothing of it was copied.
      this.#hasBegun = this.wasCut = this.shadow.isOver = true;
      this.#context.end();
    }
    primary.isOver = true;
    primary.code = code;
    if (wasLeft) primary.lose();
    if (!this.shadow.isOver && this.#queue !== undefined) {
      if (wasLeft) this.cut();
      else if (this.#context.deadline === undefined) {
        this.#context.limit(shadowTimeoutMs);
        this.#context.onAbort(nothing); // Starts its timer.
      }
    }
    this.#settle();
  }

  /** Ends the copy now. */
  cut(): void {
    if (this.shadow.isOver) return;
    this.wasCut = true;
    this.#context.abort(new ConnectError("the copy is not needed any more", Code.Canceled));
  }

  async #run(work: () => Promise<void>): Promise<void> {
    this.#hasBegun = true;
    let code: Code | undefined;
    try {
      await work();
    } catch (reason) {
      ({ code } = toCallError(reason));
    }
    this.#context.end();
    this.#queue?.drop();
    this.shadow.isOver = true;
    this.shadow.code = code;
    this.#settle();
  }

  #settle(): void {
    if (!this.primary.isOver || !this.shadow.isOver) return;
    try {
      this.#over(this);
    } finally {
      this.primary.drop();
      this.shadow.drop();
    }
  }
}

function nothing(): void {}
