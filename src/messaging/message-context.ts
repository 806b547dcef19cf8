import { type ContextKey, createContextKey, type HandlerContext } from "@connectrpc/connect";

/** The message that a handler serves, as far as a handler needs it. */
export interface ConsumedMessage {
  /** Unique for its `source`: the same for every delivery of the message. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  /** Undefined for none. */
  readonly subject: string | undefined;
  /** When it happened, in milliseconds since 1970; undefined where the message does not say. */
  readonly timeMs: number | undefined;
  /** Further attributes of the CloudEvent, by names in lower case. */
  readonly extensions: ReadonlyMap<string, string>;
  /** What orders it; undefined for none. */
  readonly key: string | undefined;
  readonly topic: string;
  readonly group: string;
  /** Undefined where the broker has none. */
  readonly partition: number | undefined;
  /** Undefined where the broker has none. */
  readonly offset: bigint | undefined;
  /** Which run this is, from 1 on, as far as its attempts are counted. */
  readonly attempt: number;
  /** Whether it was, or may have been, delivered before. */
  readonly redelivered: boolean;
  /** All headers but the attributes, by names in lower case; those of metadata are among them. */
  readonly headers: ReadonlyMap<string, string>;
}

/** Under it the values of a call have the message that the call was made of; undefined for calls by any other door. */
export const messageKey: ContextKey<ConsumedMessage | undefined> = createContextKey<
  ConsumedMessage | undefined
>(undefined, { description: "the message of a broker that the call serves" });

/** The message that a handler serves; undefined where its call came by another door. Of a batch it is the first. */
export function messageOf(context: Pick<HandlerContext, "values">): ConsumedMessage | undefined {
  return context.values.get(messageKey);
}
