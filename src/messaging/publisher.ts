import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { PublishedPartSchema } from "../../gen/ts_ms/messaging/v1/publishing_pb.ts";
import { hasFunctions, show } from "../core/config/check-options.ts";
import { Code, ConnectError, toCallError, toStatus } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { newRequestId } from "../core/metadata/request-id.ts";
import { systemClock, type Clock } from "../core/time/clock.ts";
import type { Broker, Published } from "./broker.ts";
import { draftOf } from "./event-draft.ts";
import { MessageMetadata } from "./message-metadata.ts";
import { type MadeMessage, type MessageParts, newMessage } from "./new-message.ts";
import {
  mergePublisherOptions,
  type Publish,
  type PublisherOptions,
  type PublishItem,
  type MessageOptions,
} from "./publish-options.ts";
import { intercept, Sender } from "./sender.ts";
import type { Transaction } from "./transaction.ts";

/** Publishes events. */
export interface Publisher {
  /**
   * Publishes an event; resolves when the broker has stored it. Events of one key are stored in the order of the calls,
   * awaited or not.
   *
   * @throws ConnectError INVALID_ARGUMENT, RESOURCE_EXHAUSTED for one that is too large, FAILED_PRECONDITION for a topic
   *   that there is not, PERMISSION_DENIED; UNAVAILABLE, whose text says whether it may be stored: `not sent`, or `sent
   *   and not confirmed: it may be stored; publish again with id …`
   */
  publish<D extends DescMessage>(
    schema: D,
    message: MessageInitShape<D>,
    options?: Partial<MessageOptions>,
  ): Promise<Published>;
  /**
   * Publishes events in their order; resolves when all are stored. It is not atomic.
   *
   * @throws ConnectError as `publish`, before anything is sent; ABORTED if some are not confirmed, with a detail
   *   `ts_ms.messaging.v1.PublishedPart` that has the ids of both
   */
  publishAll(
    items: readonly PublishItem[],
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<readonly Published[]>;
  /** The same publisher within a transaction: what it publishes is sent if, and only if, that commits. */
  in(tx: Transaction): Publisher;
}

/** What only the library and its tests set. */
export interface PublisherParts {
  readonly clock?: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs?: () => number;
  readonly newId?: () => string;
}

/**
 * Makes a publisher of events to a broker. Their contract says by `(ts_ms.v1.event)` where they go.
 *
 * @throws SetupError naming the option that cannot be used
 */
export function createPublisher(
  broker: Broker,
  options: Partial<PublisherOptions> = {},
  { clock = systemClock, wallMs = Date.now, newId = newRequestId }: PublisherParts = {},
): Publisher {
  if (!hasFunctions(broker, "publish", "subscribe")) {
    throw new SetupError(`createPublisher: the first argument must be a broker, not ${show(broker)}`);
  }
  const merged = mergePublisherOptions(options);
  const metadata = new MessageMetadata("createPublisher", merged.forwardHeaders);
  const parts: MessageParts = { system: broker.system, options: merged, metadata, newId, wallMs };
  const sender = new Sender(broker, merged, clock);
  return new EventPublisher(parts, merged, sender, undefined);
}

class EventPublisher implements Publisher {
  readonly #parts: MessageParts;
  readonly #options: PublisherOptions;
  readonly #sender: Sender;
  readonly #tx: Transaction | undefined;

  constructor(parts: MessageParts, options: PublisherOptions, sender: Sender, tx: Transaction | undefined) {
    this.#parts = parts;
    this.#options = options;
    this.#sender = sender;
    this.#tx = tx;
  }

  publish<D extends DescMessage>(
    schema: D,
    message: MessageInitShape<D>,
    options: Partial<MessageOptions> = {},
  ): Promise<Published> {
    try {
      return this.#send(this.#newMessage(schema, message, options), options);
    } catch (reason) {
      const refuse = (): Promise<never> => Promise.reject(reason); // A ConnectError or a SetupError.
      return this.#tx?.include(refuse) ?? refuse(); // One that is not awaited rolls back too.
    }
  }

  publishAll(
    items: readonly PublishItem[],
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<readonly Published[]> {
    const publish = (): Promise<readonly Published[]> => this.#publishAll(items, options);
    return this.#tx?.include(publish) ?? publish();
  }

  async #publishAll(
    items: readonly PublishItem[],
    options: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<readonly Published[]> {
    // All of them before the first is sent, since a bad one refuses the call.
    const messages = items.map(({ schema, message, ...rest }) => this.#newMessage(schema, message, rest));
    if (this.#tx === undefined && messages.length > this.#sender.room) throw this.#sender.refusal();
    const outcomes = await Promise.allSettled(messages.map((message) => this.#send(message, options)));
    const published = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
    if (published.length === outcomes.length) return published;
    throw partlyPublished(messages, outcomes);
  }

  in(tx: Transaction): Publisher {
    return new EventPublisher(this.#parts, this.#options, this.#sender, tx);
  }

  #newMessage(schema: DescMessage, init: object, options: Partial<MessageOptions>): MadeMessage {
    const context = options.context ?? this.#tx?.context;
    const given = context === undefined ? options : { ...options, context };
    return newMessage(this.#parts, draftOf(schema, init, given, this.#options));
  }

  #send(made: MadeMessage, given: Pick<Partial<MessageOptions>, "timeoutMs" | "signal">) {
    const tx = this.#tx;
    const { interceptors } = this.#options;
    const options = { timeoutMs: given.timeoutMs, caller: given.signal };
    if (tx === undefined) return this.#sender.send(made, options);
    return tx.include((add) => {
      const base: Publish = async (inner) => {
        await add([inner]);
        return { id: inner.event?.id ?? "", topic: inner.to.topic, confirmed: false };
      };
      return this.#sender.sendBy(intercept(base, interceptors), made, options);
    });
  }
}

function partlyPublished(
  messages: readonly MadeMessage[],
  outcomes: readonly PromiseSettledResult<Published>[],
): ConnectError {
  const ids = messages.map(({ message }) => message.event?.id ?? "");
  const failed = outcomes.flatMap((outcome, place) =>
    outcome.status === "fulfilled" ? [] : [{ id: ids[place] ?? "", error: toCallError(outcome.reason) }],
  );
  const [first] = failed;
  const text = `${failed.length} of ${ids.length} messages are not confirmed, the first of them: ${first?.error.rawMessage}`;
  return new ConnectError(text, Code.Aborted, undefined, [
    {
      desc: PublishedPartSchema,
      value: {
        confirmed: ids.filter((_, place) => outcomes[place]?.status === "fulfilled"),
        failed: failed.map(({ id, error }) => ({ id, status: toStatus(error) })),
      },
    },
  ]);
}
