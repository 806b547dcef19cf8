import {
  toBinary,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import type { ReadReplies, RequestBatch } from "../call/batches.ts";
import type { CallContext } from "../call/context.ts";
import type { Invoker } from "../call/invoker.ts";
import { LayeredStream } from "../call/layered-stream.ts";
import { notify } from "../call/observer.ts";
import { toTransport } from "../call/transport.ts";
import type { WriteReply } from "../call/write-reply.ts";
import { checkOptions, show } from "../config/check-options.ts";
import { toCallError } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import { idempotencyOf } from "../policy/idempotency.ts";
import { Selector } from "../policy/selector.ts";
import { checkPercent } from "./fault-options.ts";
import { withBytes, type BytesInvoker } from "../call/invoker-forms.ts";
import type { Outcome } from "./outcome.ts";
import { ShadowCall } from "./shadow-call.ts";
import type { HeldBytes } from "./shadow-queue.ts";
import { reachableTransport } from "./side.ts";
import { trafficBooks } from "./traffic-books.ts";

/** Compares a call with its copy. @returns whether they count as equal; undefined counts as `compared` */
export type CompareOutcomes = (primary: Outcome, shadow: Outcome, method: DescMethod) => boolean | undefined;

/** Options of `mirror`. */
export interface MirrorOptions {
  /** Share of the calls that are copied, 0 to 100. Default: 100. */
  readonly percent: number;
  /** The rpcs that are copied, a selector such as `package.Service/*`. Default: those without side effects. */
  readonly methods: string | undefined;
  /** Most copies that are under way; further ones are dropped. Default: 100. */
  readonly maxInFlight: number;
  /**
   * Most bytes that are held for all copies together: requests that the shadow has not taken, and replies until they
   * are compared. Copies that need more are dropped or cut off, replies not compared. Default: 1,048,576.
   */
  readonly bufferBytes: number;
  /** Compares the outcomes. Default: codes and messages are equal. */
  readonly compare: CompareOutcomes | undefined;
  /** Label `to` of metrics. Default: `shadow`. */
  readonly name: string;
  /** Gives numbers from 0 up to 1. Default: `Math.random`. */
  readonly random: () => number;
}

/** The defaults of `MirrorOptions`. */
export const mirrorDefaults: MirrorOptions = Object.freeze({
  percent: 100,
  methods: undefined,
  maxInFlight: 100,
  bufferBytes: 1_048_576,
  compare: undefined,
  name: "shadow",
  random: Math.random,
});

/**
 * `transport`, some of whose calls are copied to `shadow`. Callers are served by `transport` alone: they never wait for
 * the shadow, and its replies are read and dropped. Copies have a deadline of their own, the header `x-ts-ms-shadow: 1`
 * and, over gRPC, an authority that ends with `-shadow`, and are never tried again.
 *
 * @throws SetupError for a wrong option
 */
export function mirror(
  transport: Transport,
  shadow: Transport,
  options: Partial<MirrorOptions> = {},
): Transport {
  const { invoker } = reachableTransport(transport, "mirror: the first argument");
  const copies = reachableTransport(shadow, "mirror: the shadow");
  return toTransport(new Mirror(copies.invoker, options, "mirror").around(invoker));
}

/** Results of copies, as metrics have them. */
type Result = "equal" | "different" | "failed" | "dropped" | "cut" | "compared" | "uncompared";

/** Copies calls to one shadow. */
export class Mirror implements HeldBytes {
  readonly #shadow: BytesInvoker;
  readonly #options: MirrorOptions;
  readonly #selector: Selector | undefined;
  readonly #selected = new WeakMap<DescMethod, boolean>();
  readonly #live = new Set<ShadowCall>();
  #held = 0;

  /** @param place for errors. @throws SetupError naming the option */
  constructor(shadow: Invoker, options: Partial<MirrorOptions>, place: string) {
    checkOptions<MirrorOptions>(place, options, mirrorDefaults);
    this.#options = { ...mirrorDefaults, ...options };
    const { percent, methods, maxInFlight, bufferBytes, compare } = this.#options;
    checkPercent(percent, place);
    for (const [name, value] of Object.entries({ maxInFlight, bufferBytes })) {
      if (Number.isInteger(value) && value >= 1) continue;
      throw new SetupError(`${place}: ${name} must be a whole number from 1, not ${show(value)}`);
    }
    if (compare !== undefined && typeof compare !== "function") {
      throw new SetupError(`${place}: compare must be a function, not ${show(compare)}`);
    }
    this.#selector = methods === undefined ? undefined : new Selector(methods);
    // Copies are no calls of this process' own: a server in it observes them.
    this.#shadow = withBytes(shadow);
  }

  hold(bytes: number): boolean {
    if (this.#held + bytes > this.#options.bufferBytes) return false;
    this.#held += bytes;
    return true;
  }

  release(bytes: number): void {
    this.#held -= bytes;
  }

  /** Ends all copies that are under way. */
  close(): void {
    for (const call of [...this.#live]) call.cut();
  }

  /** `invoker`, whose calls are copied. */
  around(invoker: Invoker): Invoker {
    if (this.#options.percent === 0) return invoker;
    const { unobserved } = invoker;
    return { ...this.#over(invoker), ...(unobserved && { unobserved: this.#over(unobserved) }) };
  }

  #over(inner: Invoker): Invoker {
    const unaryBytes = inner.unaryBytes?.bind(inner);
    const streamBytes = inner.streamBytes?.bind(inner);
    return {
      protocolName: inner.protocolName,
      unary: <T = Message>(
        method: DescMethodUnary,
        request: Message,
        context: CallContext,
        write?: WriteReply<T>,
      ) => {
        const copy = this.#copyOf(method, request, context);
        if (copy === undefined) return inner.unary(method, request, context, write);
        const copying = copyingWriter(method, copy.call, write);
        return this.#follow(copy, method, context, inner.unary(method, request, context, copying));
      },
      ...(unaryBytes && {
        unaryBytes: (method, request, context, read) => {
          const copy = this.#copyOf(method, request, context);
          if (copy === undefined) return unaryBytes(method, request, context, read);
          const reply = unaryBytes(method, request, context, (bytes) => {
            copy.call.primary.add(bytes);
            return read(bytes);
          });
          return this.#follow(copy, method, context, reply);
        },
      }),
      stream: <T = Message>(
        method: DescMethodStreaming,
        requests: AsyncIterable<Message>,
        context: CallContext,
        write?: WriteReply<T>,
      ) => {
        if (!this.#samples(method)) return inner.stream(method, requests, context, write);
        return this.#stream<T, Message>(method, context, (call, feed) =>
          inner.stream(method, feed(requests), context, copyingWriter(method, call, write)),
        );
      },
      ...(streamBytes && {
        streamBytes: <T>(
          method: DescMethodStreaming,
          requests: AsyncIterable<RequestBatch>,
          context: CallContext,
          read: ReadReplies<T>,
        ) => {
          if (!this.#samples(method)) return streamBytes(method, requests, context, read);
          return this.#stream<T, RequestBatch>(method, context, (call, feed) =>
            streamBytes(method, feed(requests), context, (batch) => {
              const before = batch.read;
              const result = read(batch);
              for (const reply of batch.messages.slice(before, batch.read)) call.primary.add(reply);
              return result;
            }),
          );
        },
      }),
    };
  }

  /** A copy of a call with one request; undefined if it gets none. */
  #copyOf(
    method: DescMethodUnary,
    request: Message | Uint8Array,
    context: CallContext,
  ): { readonly call: ShadowCall; readonly bytes: Uint8Array } | undefined {
    if (!this.#samples(method)) return undefined;
    const bytes = bytesOf(method.input, request);
    if (bytes === undefined || this.#isFull || !this.hold(bytes.length)) {
      this.#count("dropped");
      return undefined;
    }
    return { call: this.#newCall(method, context), bytes };
  }

  /** Begins the copy, now that the call itself has begun. */
  #follow<T>(
    { call, bytes }: { readonly call: ShadowCall; readonly bytes: Uint8Array },
    method: DescMethodUnary,
    context: CallContext,
    reply: Promise<T>,
  ): Promise<T> {
    reply.then(
      () => call.primaryEnded(undefined, false),
      (reason: unknown) => call.primaryEnded(toCallError(reason).code, context.reason !== undefined),
    );
    call.call(this.#shadow, method, bytes);
    return reply;
  }

  #stream<T, R>(
    method: DescMethodStreaming,
    context: CallContext,
    open: (call: ShadowCall, feed: (requests: AsyncIterable<R>) => AsyncIterable<R>) => AsyncIterable<T>,
  ): LayeredStream<T> {
    let call: ShadowCall | undefined;
    return new LayeredStream<T>({
      open: () => {
        const isFull = this.#isFull;
        if (isFull) this.#count("dropped");
        const copy = this.#newCall(method, context, isFull);
        call = copy;
        return open(copy, (requests) => (isFull ? requests : this.#tee(requests, copy, method)));
      },
      ended: () => call?.primaryEnded(undefined, false),
      failed: (reason) => {
        call?.primaryEnded(toCallError(reason).code, context.reason !== undefined);
        return reason;
      },
      cancelled: () => call?.primaryEnded(undefined, true),
    });
  }

  /** The requests for the call itself, which are copied while it reads them. */
  async *#tee<R>(
    requests: AsyncIterable<R>,
    call: ShadowCall,
    method: DescMethodStreaming,
  ): AsyncGenerator<R, void, undefined> {
    const queue = call.open(this.#shadow, method);
    let isWhole = false;
    try {
      for await (const item of requests) {
        const batch = Array.isArray(item) ? (item as RequestBatch) : [item as Message]; // The two forms of requests.
        const copies = batch.map((request) => bytesOf(method.input, request));
        if (!copies.every((bytes) => bytes !== undefined) || !queue.push(copies)) call.cut();
        if (method.methodKind === "server_streaming") {
          isWhole = true; // Some callees do not look for the end behind the one request.
          queue.end();
        }
        yield item;
      }
      isWhole = true;
    } finally {
      if (isWhole) queue.end();
      else call.cut();
    }
  }

  get #isFull(): boolean {
    return this.#live.size >= this.#options.maxInFlight;
  }

  /** @param isDropped whether nothing of it is sent, and nothing counted of it */
  #newCall(method: DescMethod, context: CallContext, isDropped = false): ShadowCall {
    const call = new ShadowCall(method, context, this.#shadow.protocolName, this, (ended) => {
      this.#live.delete(ended);
      this.#count(this.#resultOf(ended));
    });
    if (isDropped) call.primary.lose();
    else this.#live.add(call);
    return call;
  }

  #samples(method: DescMethod): boolean {
    const { percent, random } = this.#options;
    let isSelected = this.#selected.get(method);
    if (isSelected === undefined) {
      isSelected =
        this.#selector === undefined
          ? idempotencyOf(method) === "NO_SIDE_EFFECTS"
          : this.#selector.matches(method);
      this.#selected.set(method, isSelected);
    }
    return isSelected && (percent === 100 || random() * 100 < percent);
  }

  #resultOf({ method, primary, shadow, wasCut }: ShadowCall): Result {
    if (wasCut) return "cut";
    const { compare } = this.#options;
    if (compare !== undefined) {
      if (!primary.isWhole || !shadow.isWhole) return "uncompared";
      let isEqual: boolean | undefined;
      notify([compare], (fn) => void (isEqual = fn(primary.outcome(method), shadow.outcome(method), method)));
      return isEqual === undefined ? "compared" : isEqual ? "equal" : "different";
    }
    if (shadow.code !== undefined && primary.code === undefined) return "failed";
    if (!primary.isWhole || !shadow.isWhole) return "uncompared";
    return primary.equals(shadow, method) ? "equal" : "different";
  }

  #count(result: Result): void {
    trafficBooks.mirrors.of(this.#options.name, result).count++;
  }
}

/** The bytes of a message, which are not modified later; undefined for one that cannot be written. */
function bytesOf(desc: DescMessage, message: Message | Uint8Array): Uint8Array | undefined {
  if (message instanceof Uint8Array) return message.slice();
  try {
    return toBinary(desc, message);
  } catch {
    return undefined; // The call itself fails by it.
  }
}

function copyingWriter<T>(method: DescMethod, call: ShadowCall, write?: WriteReply<T>): WriteReply<T> {
  return (reply) => {
    const bytes = bytesOf(method.output, reply);
    if (bytes === undefined) call.primary.lose();
    else call.primary.add(bytes);
    return write === undefined ? (reply as T) : write(reply); // A T is a message then.
  };
}
