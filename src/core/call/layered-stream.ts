import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "./context.ts";

/** What one part of the way of a call does around the messages of its stream. */
export interface StreamLayer {
  /** Every wait ends when it is aborted, with the abort reason. Default: no such thing. */
  readonly context?: CallContext;
  /** Called by the first `next()`. What it throws ends the stream, and no other function of this layer hears of it. */
  begin?(): void;
  /** What is inside of this layer; called after `begin`. What it throws is for `failed`. */
  open(): AsyncIterable<unknown> | Promise<AsyncIterable<unknown>>;
  /** Looks at an item on its way out; gives it or what takes its place. */
  item?(item: unknown): unknown;
  /** The stream has ended well. */
  ended?(): void;
  /** The stream has failed; gives the error that takes the place of `reason`. */
  failed?(reason: unknown): unknown;
  /** The reader has left before the end. */
  left?(): void;
}

/**
 * After so many items the event loop gets its turn: a source that never waits would let no timer and no socket run.
 */
const itemsPerBreath = 256;

/**
 * The messages of a call, or what its layers make of them, with layers around them that cost next to nothing for each: a stream whose outermost layer
 * opens another one becomes one with it.
 *
 * Nothing happens before the first `next()`. When the call is aborted or the reader leaves early, the source's
 * `return()` is asked for but not waited for, since the source may hang in a wait of its own. Layers hear of the end
 * exactly once, the innermost first. `return()` during a `next()` waits for it.
 */
export class LayeredStream<T = Message> implements AsyncGenerator<T, void, undefined> {
  readonly #layers: StreamLayer[];
  /** How many layers, from the outermost on, have begun. */
  #begun = 0;
  #over = false;
  #iterator: AsyncIterator<unknown> | undefined;
  readonly #looks: ((item: unknown) => unknown)[] = [];
  #unsubscribe: (() => void)[] = [];
  #aborted: unknown;
  #items = 0;
  /** The `next()` under way. */
  #waiting: Promise<IteratorResult<T, void>> | undefined;
  #resolve: (result: IteratorResult<T, void>) => void = nothing;
  #reject: (reason: unknown) => void = nothing;

  constructor(layer: StreamLayer) {
    this.#layers = [layer];
  }

  next(): Promise<IteratorResult<T, void>> {
    if (this.#waiting !== undefined) return this.#whenFree(() => this.next());
    if (this.#over) return Promise.resolve(done);
    const waiting = (this.#waiting = new Promise(this.#take));
    if (this.#begun === 0) void this.#begin();
    else if (this.#aborted !== undefined) this.#cut(this.#aborted);
    else if (++this.#items % itemsPerBreath === 0) setImmediate(pull, this);
    else this.pull();
    return waiting;
  }

  async return(): Promise<IteratorResult<T, void>> {
    if (this.#waiting !== undefined) return this.#whenFree(() => this.return());
    this.#leave();
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

  /** Asks the source for the next item, unless the stream is over by now. */
  pull(): void {
    if (this.#over || this.#iterator === undefined) return;
    try {
      Promise.resolve(this.#iterator.next()).then(this.#got, this.#failed);
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
        this.#layers.push(...source.#layers);
      }
      for (const layer of this.#layers) {
        if (layer.item !== undefined) this.#looks.unshift((item) => layer.item?.(item)); // As just seen.
      }
    } catch (reason) {
      this.#failed(reason);
    }
    this.pull();
  }

  #follow(context: CallContext | undefined): void {
    if (context === undefined) return;
    if (context.reason !== undefined) throw context.reason;
    this.#unsubscribe.push(
      context.onAbort((reason) => {
        this.#aborted = reason;
        if (this.#waiting !== undefined) this.#cut(reason);
      }),
    );
  }

  readonly #take = (
    resolve: (result: IteratorResult<T, void>) => void,
    reject: (reason: unknown) => void,
  ): void => {
    this.#resolve = resolve;
    this.#reject = reject;
  };

  readonly #got = (result: IteratorResult<unknown>): void => {
    if (this.#over) return;
    if (result.done === true) {
      this.#close();
      this.#settle(() => {
        for (const layer of this.#innermostFirst()) layer.ended?.();
        return done;
      });
      return;
    }
    let item = result.value;
    try {
      for (const look of this.#looks) item = look(item);
    } catch (reason) {
      this.#cut(reason);
      return;
    }
    this.#waiting = undefined;
    this.#resolve({ done: false, value: item as T }); // The source's, or what a layer made of it.
  };

  /** The source has ended with an error. */
  readonly #failed = (reason: unknown): void => {
    if (this.#over) return;
    this.#close();
    this.#settle(() => {
      let error = reason;
      for (const layer of this.#innermostFirst()) {
        if (layer.failed !== undefined) error = layer.failed(error);
      }
      throw error;
    });
  };

  /** Ends a stream whose source would go on. */
  #cut(reason: unknown): void {
    this.#letGo();
    this.#failed(reason);
  }

  #leave(): void {
    if (this.#over) return;
    this.#letGo();
    this.#close();
    for (const layer of this.#innermostFirst()) layer.left?.();
  }

  #letGo(): void {
    try {
      this.#iterator?.return?.()?.then(undefined, nothing);
    } catch {
      // Nobody is left to hear of it.
    }
  }

  /** Nothing that the source or a context says counts from now on. */
  #close(): void {
    this.#over = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#unsubscribe = [];
  }

  /** Answers the `next()` under way. */
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

const done: IteratorReturnResult<void> = Object.freeze({ done: true, value: undefined });

function pull(stream: Pick<LayeredStream, "pull">): void {
  stream.pull();
}

function nothing(): void {}
