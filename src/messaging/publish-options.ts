import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { checkOptions } from "../core/config/check-options.ts";
import type { OutgoingMessage, Published } from "./broker.ts";
import { checkSender, defaultSource, type SenderOptions, senderDefaults } from "./sender-options.ts";

/** Publishes one message, or hands it to what is inside. */
export type Publish = (message: OutgoingMessage, signal: AbortSignal) => Promise<Published>;

/** Stands around the publishing of messages; it calls `next` at once to keep their order. */
export type PublishInterceptor = (next: Publish) => Publish;

/** What is said of one message. */
export interface MessageOptions {
  /** Unique for its source. Default: a UUID of version 7. */
  readonly id: string;
  /** Orders the messages that have the same. Default: the field that the contract names. */
  readonly key: string;
  /** Where it is published. Default: that of the contract. */
  readonly topic: string;
  /** The CloudEvents `subject`. Default: the field that the contract names. */
  readonly subject: string;
  /** The CloudEvents `source`, a URI reference. Default: the publisher's. */
  readonly source: string;
  /** When it happened, in milliseconds since 1970, or as a date. Default: now. */
  readonly time: number | Date;
  /** Headers besides the attributes. Default: none. */
  readonly headers: Readonly<Record<string, string>>;
  /** How long it is worth handling, in milliseconds. Default: that of the contract. */
  readonly expiresAfterMs: number;
  /** Further attributes of the CloudEvent, by names of lower-case letters and digits. Default: none. */
  readonly extensions: Readonly<Record<string, string>>;
  /** The longest wait for the broker's confirm, in milliseconds. Default: the publisher's. */
  readonly timeoutMs: number;
  /** Ends the wait: the promise rejects with CANCELLED, or with its reason if that is a ConnectError. Default: none. */
  readonly signal: AbortSignal;
  /**
   * The call that publishes: the message is part of its trace, has its headers as a call would have, and is caused by the
   * message that it serves. Default: that of the transaction, else none.
   */
  readonly context: HandlerContext;
}

/** One of the messages of `publishAll`. */
export interface PublishItem<D extends DescMessage = DescMessage> extends Partial<
  Omit<MessageOptions, "timeoutMs" | "signal">
> {
  readonly schema: D;
  readonly message: MessageInitShape<D>;
}

/** Options of `createPublisher`. */
export interface PublisherOptions extends SenderOptions {
  /** Around every message, the first one outermost. Default: none. */
  readonly interceptors: readonly PublishInterceptor[];
}

/** The defaults of `PublisherOptions`. */
export const publisherDefaults: Omit<PublisherOptions, "source"> = Object.freeze({
  ...senderDefaults,
  interceptors: [],
});

/** The options of a publisher with their defaults. @throws SetupError naming the option that cannot be used */
export function mergePublisherOptions(options: Partial<PublisherOptions>): PublisherOptions {
  checkOptions<PublisherOptions>("createPublisher", options, { ...publisherDefaults, source: "" });
  const merged = { source: defaultSource(), ...publisherDefaults, ...options };
  checkSender("createPublisher", merged);
  return merged;
}
