import type { Message } from "@bufbuild/protobuf";

/** What a message is written as: JSON, protobuf, or an event of server-sent events. */
export type MessageForm = "json" | "protobuf" | "sse";

/** What is known of a message that many calls send: their answers are made of it once. */
export interface SharedMessage {
  /** `event:` of server-sent events; undefined for the event `message`. */
  readonly event: string | undefined;
  /** What its publisher says beside it; empty for nothing. */
  readonly headers: Readonly<Record<string, string>>;
  /** Where it stands among those of its room; undefined for nowhere. */
  position: string | undefined;
  /** Is told of every form that is made. */
  readonly made: ((form: MessageForm) => void) | undefined;
  /** What it is written as, by its writer. */
  readonly forms: Map<object, unknown>;
}

const shared = Symbol("shared");
const noHeaders = Object.freeze({});

/** Says that many calls will send a message, which does not change any more. */
export function shareMessage(
  message: Message,
  { event, headers = noHeaders, made }: Partial<Omit<SharedMessage, "forms" | "position">> = {},
): void {
  // No member that others would see.
  Object.defineProperty(message, shared, {
    value: { event, headers, made, position: undefined, forms: new Map() } satisfies SharedMessage,
  });
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
    const { forms, made } = known;
    const before = forms.get(make) as T | undefined; // As it was set below.
    if (before !== undefined) return before;
    const result = make(message);
    forms.set(make, result);
    if (form !== undefined) made?.(form);
    return result;
  };
}
