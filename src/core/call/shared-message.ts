import type { Message } from "@bufbuild/protobuf";

/** What is known of a message that many calls send: their answers are made of it once. */
export interface SharedMessage {
  /** `event:` of server-sent events; undefined for the event `message`. */
  readonly event: string | undefined;
  /** What it is written as, by its writer. */
  readonly forms: Map<object, unknown>;
}

const shared = Symbol("shared");

/** Says that many calls will send a message, which does not change any more. */
export function shareMessage(message: Message, event?: string): void {
  // No member that others would see.
  Object.defineProperty(message, shared, { value: { event, forms: new Map() } satisfies SharedMessage });
}

/** Undefined for the message of one call. */
export function sharedOf(message: Message): SharedMessage | undefined {
  return (message as { readonly [shared]?: SharedMessage })[shared];
}
