import type {
  AnyValue,
  Attributes,
  Exception,
  Link,
  Span,
  SpanContext,
  SpanStatus,
  TimeInput,
} from "@opentelemetry/api";

/**
 * The span of a call that has come to a server. Code may add to it, as to every span of OpenTelemetry: the first addition
 * makes a span of the SDK with the same ids, and everything goes to that one. Most calls add nothing and make none.
 */
export class CallSpan implements Span {
  readonly #context: SpanContext;
  #make: (() => Span) | undefined;
  #made: Span | undefined;

  /** @param make makes the span of the SDK, with the ids of `context` */
  constructor(context: SpanContext, make: () => Span) {
    this.#context = context;
    this.#make = make;
  }

  /** The span of the SDK, if something was added to this one. */
  get made(): Span | undefined {
    return this.#made;
  }

  /** From now on nothing can be added. */
  close(): void {
    this.#make = undefined;
  }

  spanContext(): SpanContext {
    return this.#context;
  }

  isRecording(): boolean {
    return this.#made?.isRecording() ?? this.#make !== undefined;
  }

  setAttribute(key: string, value: AnyValue): this {
    this.#open()?.setAttribute(key, value);
    return this;
  }

  setAttributes(attributes: Attributes): this {
    this.#open()?.setAttributes(attributes);
    return this;
  }

  addEvent(name: string, attributesOrStartTime?: Attributes | TimeInput, startTime?: TimeInput): this {
    this.#open()?.addEvent(name, attributesOrStartTime, startTime);
    return this;
  }

  addLink(link: Link): this {
    this.#open()?.addLink(link);
    return this;
  }

  addLinks(links: Link[]): this {
    this.#open()?.addLinks(links);
    return this;
  }

  setStatus(status: SpanStatus): this {
    this.#open()?.setStatus(status);
    return this;
  }

  updateName(name: string): this {
    this.#open()?.updateName(name);
    return this;
  }

  recordException(exception: Exception, time?: TimeInput): void {
    this.#open()?.recordException(exception, time);
  }

  end(endTime?: TimeInput): void {
    this.#open()?.end(endTime);
  }

  /** The span of the SDK; undefined once this one is closed without one. */
  #open(): Span | undefined {
    if (this.#made === undefined && this.#make !== undefined) {
      this.#made = this.#make();
      this.#make = undefined;
    }
    return this.#made;
  }
}
