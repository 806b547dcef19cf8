import type { Message } from "@bufbuild/protobuf";

/** What a message is written as: JSON, protobuf, or an event of server-sent events. */
export type MessageForm = "json" | "protobuf" | "sse";

/** What is known of a message beside what is in it. */
export interface SaidBeside {
  /** `event:` of server-sent events; undefined for the event `message`. */
  readonly event: string | undefined;
  /** What its publisher says beside it; empty for nothing. */
  readonly headers: Readonly<Record<string, string>>;
  /** Is told of every form that is made. */
  readonly made: ((form: MessageForm) => void) | undefined;
}

const noForms: readonly unknown[] = Object.freeze([]);

/** What is known of a message that many calls send: their answers are made of it once. */
export class SharedMessage implements SaidBeside {
  readonly event: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly made: ((form: MessageForm) => void) | undefined;
  /** Where it stands among those of its room; undefined for nowhere. */
  position: string | undefined;
  /** Writers and what each has written, by turns: rings keep many messages, and a map for a few entries is large. */
  #forms = noForms;

  constructor({ event, headers, made }: SaidBeside) {
    this.event = event;
    this.headers = headers;
    this.made = made;
    this.position = undefined;
  }

  /** What a writer has made of the message; undefined where it has not. */
  formBy(writer: object): unknown {
    const forms = this.#forms;
    for (let at = 0; at < forms.length; at += 2) if (forms[at] === writer) return forms[at + 1];
    return undefined;
  }

  /** Keeps what a writer has made, once for each. */
  keepForm(writer: object, form: unknown): void {
    this.#forms = this.#forms.concat([writer, form]); // As long as it is: an array that grows has room for many.
  }

  /** How many writers have made something of it. */
  get formCount(): number {
    return this.#forms.length / 2;
  }
}

const shared = Symbol("shared");
const noHeaders = Object.freeze({});

/** Says that many calls will send a message, which does not change any more. */
export function shareMessage(
  message: Message,
  { event, headers = noHeaders, made }: Partial<SaidBeside> = {},
): void {
  // No member that others would see.
  Object.defineProperty(message, shared, { value: new SharedMessage({ event, headers, made }) });
}

/** Undefined for the message of one call. */
export function sharedOf(message: Message): SharedMessage | undefined {
  return (message as { readonly [shared]?: SharedMessage })[shared];
}

/** As `madeOnce`, for what is made of a form that was counted already. */
export function keptOnce<T extends NonNullable<unknown>>(
  make: (message: Message) => T,
): (message: Message) => T {
  return once(make, undefined);
}

/**
 * As `make`; of a message that many calls send, the result is made once and given to all of them.
 *
 * @param form of which the result is
 * @param make its results are not changed by those who get them
 */
export function madeOnce<T extends NonNullable<unknown>>(
  form: MessageForm,
  make: (message: Message) => T,
): (message: Message) => T {
  return once(make, form);
}

function once<T extends NonNullable<unknown>>(
  make: (message: Message) => T,
  form: MessageForm | undefined,
): (message: Message) => T {
  return (message) => {
    const known = sharedOf(message);
    if (known === undefined) return make(message);
    const before = known.formBy(make) as T | undefined; // As it was kept below.
    if (before !== undefined) return before;
    const result = withOwnMemory(make(message));
    known.keepForm(make, result);
    if (form !== undefined) known.made?.(form);
    return result;
  };
}

/** Bytes that are part of a larger buffer, such as Node's pool, would keep the whole of it for as long as rooms keep the message. */
function withOwnMemory<T>(result: T): T {
  if (!(result instanceof Uint8Array) || result.byteLength === result.buffer.byteLength) return result;
  const own = Buffer.allocUnsafeSlow(result.byteLength);
  own.set(result);
  return own as unknown as T; // Bytes for bytes.
}
