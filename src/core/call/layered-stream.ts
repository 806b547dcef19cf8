import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "./context.ts";
import { isPushSource, type PushSink } from "./push-source.ts";

/** One layer around the messages of a call's stream. */
export interface StreamLayer {
  /** When it is aborted, a pending `next()` rejects with the abort reason. Default: none. */
  readonly context?: CallContext;
  /** Called by the first `next()`. If it throws, the stream fails and no other function of this layer is called. */
  begin?(): void;
  /** Returns the source inside this layer; called after `begin`. If it throws, `failed` is called. */
  open(): AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>;
  /** Called before the first item. */
  first?(): void;
  /** Called with each item, without the layer as `this`; returns the item or its replacement. */
  readonly item?: ((item: unknown) => unknown) | undefined;
  /** Called when the stream has ended without an error. If it throws, the stream has failed for the layers outside. */
  ended?(): void;
  /** Called when the stream has failed; returns the error that replaces `reason`. */
  failed?(reason: unknown): unknown;
  /** Called when the consumer ends the iteration before the stream has ended. */
  cancelled?(): void;
}

/**
 * After this many items the stream yields to the event loop: a source that never waits would starve timers and sockets.
 */
const itemsPerTurn = 256;

type ChangeItem = NonNullable<StreamLayer["item"]>;

/** The functions that a stream gives to promises. */
interface Reactions {
  readonly go: () => void;
  readonly abandon: (reason: unknown) => void;
  readonly got: (result: IteratorResult<unknown>) => void;
  readonly failed: (reason: unknown) => void;
}

/** What streams have that have none; they are never changed. */
const noFunctions: (() => void)[] = [];
const noItems: readonly ChangeItem[] = [];

/** What an item is passed to: returns a promise if the next one has to wait for it. */
export type Sink<T> = (item: T) => Promise<void> | undefined;

/**
 * Passes each item of `source` to `sink`, one after the other, and resolves when all were taken: as `for await`, with
 * less work per item where `source` is a `LayeredStream`, and next to none where that is of a `PushSource`.
 */
export function forEachOf<T>(source: AsyncIterable<T>, sink: Sink<T>): Promise<unknown> {
  // As iterables, both give T.
  return source instanceof LayeredStream ? (source as LayeredStream<T>).forEach(sink) : eachOf(source, sink);
}

async function eachOf<T>(source: AsyncIterable<T>, sink: Sink<T>): Promise<void> {
  for await (const item of source) {
    const taken = sink(item);
    if (taken !== undefined) await taken;
  }
}

/**
 * The messages of a call with layers around them, which may replace each message. Layers cost next to nothing per
 * message: when a layer opens another `LayeredStream` as its source, both are merged into one stream.
 *
 * Nothing happens before the first `next()`. When the call is aborted or the consumer ends the iteration early,
 * `return()` of the source is called but not awaited, since the source may be blocked in a wait of its own. Each layer
 * is notified of the end exactly once, the innermost first. `return()` during a `next()` waits for it.
 */
export class LayeredStream<T = Message> implements AsyncGenerator<T, void, undefined>, PushSink {
  #layers: StreamLayer[];
  /** How many layers, from the outermost on, have begun. */
  #begun = 0;
  #over = false;
  #iterator: AsyncIterator<unknown> | undefined;
  /** The functions for items, the innermost first. */
  #items: readonly ChangeItem[] = noItems;
  #hasItems = false;
  #unsubscribe: (() => void)[] = noFunctions;
  #aborted: unknown;
  /** How many items there were. */
  #count = 0;
  /** The last `next()` of the source. */
  #pulled: Promise<unknown> | undefined;
  /** The pending `next()`. */
  #waiting: Promise<IteratorResult<T, void>> | undefined;
  /** What takes the items in place of `next()`. */
  #sink: Sink<T> | undefined;
  /** Whether the stream waits for the sink. */
  #isTaking = false;
  /** Whether the source hands its items over. */
  #isPushed = false;
  #resolve: (result: IteratorResult<T, void>) => void = nothing;
  #reject: (reason: unknown) => void = nothing;
  /** Undefined as long as it has waited for nothing: of the streams of most calls only the outermost one ever does. */
  #reactions: Reactions | undefined;

  constructor(layer: StreamLayer) {
    this.#layers = [layer];
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#waiting !== undefined) return this.#whenFree(() => this.next());
    if (this.#over) return Promise.resolve(done);
    const waiting = this.#wait();
    this.#go();
    return waiting;
  }

  /**
   * Passes each item to `sink`, and resolves at the end of the stream. Rejects with the error of the stream; if `sink`
   * throws or rejects, with that error, after ending the iteration early.
   */
  forEach(sink: Sink<T>): Promise<unknown> {
    if (this.#waiting !== undefined) return this.#whenFree(() => this.forEach(sink));
    if (this.#over) return Promise.resolve();
    const waiting = this.#wait();
    this.#sink = sink;
    this.#go();
    return waiting;
  }

  #wait(): Promise<IteratorResult<T, void>> {
    const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<T, void>>();
    this.#resolve = resolve;
    this.#reject = reject;
    return (this.#waiting = promise);
  }

  /** Asks for the next item. */
  #go(): void {
    this.#isTaking = false;
    if (this.#begun === 0) void this.#begin();
    else if (this.#aborted !== undefined) this.#cut(this.#aborted);
    else if (++this.#count % itemsPerTurn === 0) setImmediate(pull, this);
    else this.pull();
  }

  /** What it does when what it waits for is there: the same functions for all items. */
  get #on(): Reactions {
    return (this.#reactions ??= {
      go: () => this.#go(),
      abandon: (reason) => this.#abandon(reason),
      got: (result) => this.#got(result),
      failed: (reason) => this.#failed(reason),
    });
  }

  async return(): Promise<IteratorResult<T, void>> {
    if (this.#waiting !== undefined) return this.#whenFree(() => this.return());
    this.#stop();
    return done;
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    await this.return();
    throw error;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Asks the source for the next item, unless the stream has ended. */
  pull(): void {
    if (this.#over || this.#iterator === undefined) return;
    try {
      if (this.#sink !== undefined && isPushSource(this.#iterator)) {
        if (this.#isPushed) this.#iterator.resume();
        else {
          this.#isPushed = true;
          this.#iterator.push(this);
        }
        return;
      }
      const pulled = Promise.resolve(this.#iterator.next());
      this.#pulled = pulled;
      pulled.then(this.#on.got, this.#on.failed);
    } catch (reason) {
      this.#failed(reason);
    }
  }

  async #begin(): Promise<void> {
    try {
      for (;;) {
        const layer = this.#layers[this.#begun];
        if (layer === undefined) return;
        layer.begin?.();
        this.#begun++;
        this.#follow(layer.context);
        const opened = layer.open();
        const source = Symbol.asyncIterator in opened ? opened : await opened;
        if (this.#over) return;
        if (!(source instanceof LayeredStream) || source.#begun > 0 || source.#over) {
          this.#iterator = source[Symbol.asyncIterator]();
          break;
        }
        source.#over = true;
        this.#layers = this.#layers.concat(source.#layers); // As long as they are.
      }
      this.#items = itemsOf(this.#layers);
    } catch (reason) {
      this.#failed(reason);
    }
    this.pull();
  }

  #follow(context: CallContext | undefined): void {
    if (context === undefined) return;
    if (context.reason !== undefined) throw context.reason;
    const unsubscribe = context.onAbort((reason) => {
      this.#aborted = reason;
      if (this.#waiting !== undefined && !this.#isTaking) this.#cut(reason);
    });
    if (this.#unsubscribe === noFunctions) this.#unsubscribe = [unsubscribe];
    else this.#unsubscribe.push(unsubscribe);
  }

  /**
   * An item of a source that hands them over. The stream itself takes it, without a function of its own: of many streams
   * that take the same item each object more is one that the processor has to fetch.
   */
  take(item: unknown): boolean {
    const sink = this.#sink;
    if (this.#over || sink === undefined) return false;
    let given = item;
    try {
      if (!this.#hasItems) this.#first();
      const items = this.#items;
      for (let place = 0; place < items.length; place++) given = items[place]?.(given);
    } catch (reason) {
      this.#cut(reason);
      return false;
    }
    return this.#gave(given as T, sink) && !this.#over; // As below.
  }

  /** The source that hands over has no more. */
  ended(): void {
    this.#got(done);
  }

  /** The source that hands over has failed. */
  failed(reason: unknown): void {
    this.#failed(reason);
  }

  #first(): void {
    this.#hasItems = true;
    for (const layer of this.#innermostFirst()) layer.first?.();
  }

  #got(result: IteratorResult<unknown>): void {
    if (this.#over) return;
    if (result.done === true) {
      this.#close();
      this.#settle(() => {
        let failure: { readonly error: unknown } | undefined;
        for (const layer of this.#innermostFirst()) {
          try {
            if (failure === undefined) layer.ended?.();
            else if (layer.failed !== undefined) failure = { error: layer.failed(failure.error) };
          } catch (error) {
            failure = { error };
          }
        }
        if (failure !== undefined) throw failure.error;
        return done;
      });
      return;
    }
    let item = result.value;
    try {
      if (!this.#hasItems) this.#first();
      for (const change of this.#items) item = change(item);
    } catch (reason) {
      this.#cut(reason);
      return;
    }
    // The item of the source or its replacement.
    if (this.#sink !== undefined) {
      if (this.#gave(item as T, this.#sink)) this.#go();
    } else {
      this.#waiting = undefined;
      this.#resolve({ done: false, value: item as T });
    }
  }

  /** Passes an item to the sink. @returns whether it takes another one now */
  #gave(item: T, sink: Sink<T>): boolean {
    let taken: Promise<void> | undefined;
    try {
      taken = sink(item);
    } catch (reason) {
      this.#abandon(reason);
      return false;
    }
    if (taken === undefined) return true;
    this.#isTaking = true;
    taken.then(this.#on.go, this.#on.abandon);
    return false;
  }

  /** The sink takes no more items. */
  #abandon(reason: unknown): void {
    this.#stop();
    this.#waiting = undefined;
    this.#reject(reason);
  }

  /** Handles an error of the source. */
  #failed(reason: unknown): void {
    if (this.#over) return;
    this.#close();
    this.#waiting = undefined;
    let error = reason;
    try {
      for (let place = this.#begun - 1; place >= 0; place--) {
        const layer = this.#layers[place];
        if (layer?.failed !== undefined) error = layer.failed(error);
      }
    } catch (thrown) {
      error = thrown;
    }
    this.#reject(error);
  }

  /** Fails a stream whose source has not ended. */
  #cut(reason: unknown): void {
    this.#returnSource();
    this.#failed(reason);
  }

  #stop(): void {
    if (this.#over) return;
    this.#returnSource();
    this.#close();
    for (const layer of this.#innermostFirst()) layer.cancelled?.();
  }

  #returnSource(): void {
    try {
      const returned = this.#iterator?.return?.();
      returned?.then(undefined, nothing);
      const work = returned ?? this.#pulled;
      for (const { context } of this.#layers) if (context !== undefined) context.work = work;
    } catch {
      // The stream has ended: no consumer is waiting for this error.
    }
  }

  /** Marks the stream as ended: later results of the source and aborts are ignored. */
  #close(): void {
    this.#over = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = noFunctions;
  }

  /** Settles the pending `next()`. */
  #settle(outcome: () => IteratorResult<T, void>): void {
    this.#waiting = undefined;
    try {
      this.#resolve(outcome());
    } catch (reason) {
      this.#reject(reason);
    }
  }

  #innermostFirst(): StreamLayer[] {
    return this.#layers.slice(0, this.#begun).reverse();
  }

  #whenFree<T>(then: () => Promise<T>): Promise<T> {
    return Promise.resolve(this.#waiting).then(then, then);
  }
}

/** The functions of layers for items, the innermost first. */
function itemsOf(layers: readonly StreamLayer[]): readonly ChangeItem[] {
  const items: ChangeItem[] = [];
  for (let place = layers.length - 1; place >= 0; place--) {
    const item = layers[place]?.item;
    if (item !== undefined) items.push(item);
  }
  return items;
}

const done: IteratorReturnResult<void> = Object.freeze({ done: true, value: undefined });

function pull(stream: Pick<LayeredStream, "pull">): void {
  stream.pull();
}

function nothing(): void {}
