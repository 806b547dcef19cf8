import type { DescMessage, MessageInitShape, Registry } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import { checkOptions, show } from "../core/config/check-options.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { BodyEncoding } from "./body-codec.ts";
import type { OutgoingMessage, Published } from "./broker.ts";

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

/** What publishers and `dial` to a broker have in common. */
export interface SenderOptions {
  /** The CloudEvents `source`, a URI reference. Default: `/` and the name of the program. */
  readonly source: string;
  /** How bodies are written. Default: `protobuf`. */
  readonly encoding: BodyEncoding;
  /** `structured` has the attributes in a body of JSON, for readers that do not see headers. Default: `binary`. */
  readonly mode: "binary" | "structured";
  /** The longest wait for the broker's confirm, in milliseconds. Default: 5,000. */
  readonly timeoutMs: number;
  /** Most messages that are sent and not confirmed; further ones wait in order. Default: 1,000. */
  readonly maxInFlight: number;
  /** The same in bytes of their bodies. Default: 16 MiB. */
  readonly maxInFlightBytes: number;
  /** Most messages that wait; further ones are UNAVAILABLE at once. Default: 10,000. */
  readonly maxWaiting: number;
  /** The largest body; a larger one is RESOURCE_EXHAUSTED before anything is sent. Default: 1 MiB. */
  readonly maxMessageBytes: number;
  /** Headers of calls that messages have besides the usual ones. `authorization` may be one. Default: none. */
  readonly forwardHeaders: readonly string[];
  /** Types that `google.protobuf.Any` may hold in bodies of JSON, beside the standard ones. Default: none. */
  readonly registry: Registry | undefined;
}

/** Options of `createPublisher`. */
export interface PublisherOptions extends SenderOptions {
  /** Around every message, the first one outermost. Default: none. */
  readonly interceptors: readonly PublishInterceptor[];
}

/** The defaults of `SenderOptions`, but for `source`. */
export const senderDefaults: Omit<SenderOptions, "source"> = Object.freeze({
  encoding: "protobuf",
  mode: "binary",
  timeoutMs: 5_000,
  maxInFlight: 1_000,
  maxInFlightBytes: 16 * 1024 * 1024,
  maxWaiting: 10_000,
  maxMessageBytes: 1024 * 1024,
  forwardHeaders: [],
  registry: undefined,
});

/** The defaults of `PublisherOptions`. */
export const publisherDefaults: Omit<PublisherOptions, "source"> = Object.freeze({
  ...senderDefaults,
  interceptors: [],
});

/** @throws SetupError naming the option that cannot be used */
export function checkSender(owner: string, options: SenderOptions): void {
  const { source, encoding, mode, timeoutMs } = options;
  const wrong = (name: keyof SenderOptions, must: string): SetupError =>
    new SetupError(`${owner}: the option ${name} must be ${must}, not ${show(options[name])}`);
  if (source === "" || /\s/.test(source)) throw wrong("source", "a URI reference such as /shop");
  if (!["protobuf", "json"].includes(encoding)) throw wrong("encoding", '"protobuf" or "json"');
  if (!["binary", "structured"].includes(mode)) throw wrong("mode", '"binary" or "structured"');
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) throw wrong("timeoutMs", "above 0 and less than 24 days");
  for (const name of ["maxInFlight", "maxInFlightBytes", "maxMessageBytes"] as const) {
    if (!(options[name] >= 1)) throw wrong(name, "at least 1");
  }
  if (!(options.maxWaiting >= 0)) throw wrong("maxWaiting", "0 or more");
}

/** The options of a publisher with their defaults. @throws SetupError naming the option that cannot be used */
export function mergePublisherOptions(options: Partial<PublisherOptions>): PublisherOptions {
  checkOptions<PublisherOptions>("createPublisher", options, { ...publisherDefaults, source: "" });
  const merged = { source: defaultSource(), ...publisherDefaults, ...options };
  checkSender("createPublisher", merged);
  return merged;
}

/** `/` and the name of the program, as its file has it. */
export function defaultSource(): string {
  const file = process.argv[1]?.split(/[\\/]/).pop() ?? "";
  return `/${encodeURIComponent(file.replace(/\.[cm]?[jt]s$/, "") || "ts-ms")}`;
}
