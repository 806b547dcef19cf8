import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { AttemptTrace } from "../core/call/client-trace.ts";
import { messageTracing } from "../core/call/message-trace.ts";
import type { MessageForm } from "../core/codec/shared-message.ts";
import { Code, ConnectError, invalidArgument, toCallError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus, BusPublication, BusReceipt, PublicationForm } from "./bus/bus.ts";
import { RecentIds } from "./bus/recent-ids.ts";
import type { Entry } from "./connections/entry.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";
import type { Matches } from "./connections/selectable.ts";
import type { ConfirmAsked, Elsewhere, ElsewhereDelivered } from "./elsewhere.ts";
import { confirmMs, prepare } from "./publishing.ts";
import { addConfirmed, type Confirmation, type Confirmations, type Confirmed } from "./room/confirmations.ts";
import type { NodeOptions } from "./nodes/nodes.ts";
import type { Member } from "./room/member.ts";
import { formatPosition, type Position } from "./room/position.ts";
import { addDeliveries, type Deliveries, noDeliveries, type Publication } from "./room/publication.ts";
import { pathOf } from "./room/room.ts";
import { checkRoom } from "./room/room-key.ts";
import type { PublishOptions, Receipt, RoomPublication, SendOptions } from "./topic-options.ts";
import type { TopicSettings } from "./topic-settings.ts";
import type { TopicShape } from "./topic-shape.ts";
import { unknownOutcome } from "./bus/unknown-outcome.ts";

/** The limits of publications. */
export interface PublishLimits {
  /** The largest message that is published, in bytes of protobuf. Default: 256 KiB. */
  readonly maxMessageBytes: number;
  /** How long the bus may take for a publication, in milliseconds. Default: 2,000. */
  readonly publishTimeoutMs: number;
}

/** With what a topic publishes. */
export interface PublisherKit {
  readonly bus: Bus;
  readonly scope: SelectorScope;
  readonly limits: PublishLimits & Pick<NodeOptions, "countTimeoutMs">;
  readonly clock: Clock;
  readonly owner: PublisherOwner;
  readonly form: PublicationForm;
  readonly elsewhere: Elsewhere;
  readonly confirmations: Confirmations;
  /** The room of a path in this process; undefined for none. */
  readonly rooms: { find(path: string): unknown };
}

/** Is told what is published. */
export interface PublisherOwner {
  published(topic: string): void;
  /** What has become of a message that was sent to calls, here. */
  delivered(topic: string, deliveries: Deliveries): void;
  /** How long it took until the members here that keep up had a publication, in milliseconds. */
  took(topic: string, ms: number): void;
  /** A message was written, for all that get it in this form. */
  encoded(form: MessageForm): void;
}

/** Publishes the messages of one topic: in its rooms by the bus, and to the calls that a selector finds. */
export class Publisher {
  readonly #shape: TopicShape;
  readonly #settings: TopicSettings;
  readonly #members: Iterable<Member>;
  readonly #kit: PublisherKit;
  readonly #encoded: (form: MessageForm) => void;
  /** Ids of publications that are not kept. */
  readonly #recent = new RecentIds<true>();

  /** @param members the calls that are members of rooms of the topic */
  constructor(shape: TopicShape, settings: TopicSettings, members: Iterable<Member>, kit: PublisherKit) {
    this.#shape = shape;
    this.#settings = settings;
    this.#members = members;
    this.#kit = kit;
    this.#encoded = (form) => kit.owner.encoded(form);
  }

  async publish(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: PublishOptions = {},
  ): Promise<Receipt> {
    return this.#confirmed(options, (confirming) => this.#publish(room, message, options, confirming));
  }

  async #publish(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: PublishOptions,
    confirming: Confirming | undefined,
  ): Promise<Sent> {
    const publication = this.#prepare(room, message, options, confirming);
    const history = options.history === false ? undefined : this.#settings.history;
    if (history !== undefined && publication.priority === "high") {
      throw invalidArgument(
        "priority: high passes others, and what is kept has a place among them: history: false",
      );
    }
    const { id } = publication;
    const dedupeMs = options.id === undefined ? 0 : this.#settings.dedupeMs;
    if (history === undefined && !this.#isNew(room, id, dedupeMs)) return duplicateOf(id, undefined);
    let deliveries = noDeliveries();
    const { clock, owner } = this.#kit;
    const { name } = this.#shape;
    const startedMs = clock.nowMs();
    publication.delivered = (all) => {
      deliveries = all;
      if (all.sent > 0) owner.took(name, clock.nowMs() - startedMs);
    };
    const path = pathOf(name, room);
    const isOfAll = options.count === "cluster" || confirming !== undefined;
    const elsewhere = isOfAll ? this.#kit.elsewhere.delivered(path, id, confirming?.asked) : undefined;
    const answer = await this.#traced(publication, options, () =>
      this.#published(
        { room: path, publication, history, dedupeMs, unsureMs: this.#settings.dedupeMs },
        options.signal,
      ),
    );
    const { position, duplicate } = answer;
    if (duplicate) return duplicateOf(id, position);
    if (this.#kit.rooms.find(path) === undefined) confirming?.here.sent();
    owner.published(name);
    const elsewhereDelivered = await elsewhere;
    return {
      receipt: receipt(id, position, false, deliveries, elsewhereDelivered),
      elsewhere: elsewhereDelivered,
    };
  }

  async publishAll(
    list: readonly RoomPublication<MessageInitShape<DescMessage>>[],
  ): Promise<(Receipt | ConnectError)[]> {
    const all = list.map(({ room, message, options }) => this.publish(room, message, options));
    const settled = await Promise.allSettled(all);
    return settled.map((one) => (one.status === "fulfilled" ? one.value : toCallError(one.reason)));
  }

  async send(
    to: Selector,
    message: MessageInitShape<DescMessage>,
    options: SendOptions = {},
  ): Promise<Receipt> {
    return this.#confirmed(options, (confirming) => this.#send(to, message, options, confirming));
  }

  async #send(
    to: Selector,
    message: MessageInitShape<DescMessage>,
    options: SendOptions,
    confirming: Confirming | undefined,
  ): Promise<Sent> {
    const matches = compileSelector(to, this.#kit.scope, true);
    const publication = this.#prepare("", message, options, confirming, false);
    const { id } = publication;
    const dedupeMs = options.id === undefined ? 0 : this.#settings.dedupeMs;
    if (!this.#isNew("", id, dedupeMs)) return duplicateOf(id, undefined);
    const { name } = this.#shape;
    const record = (): Uint8Array => this.#kit.form.write(name, publication, 0);
    const isOfAll = options.count === "cluster" || confirming !== undefined;
    let deliveries = noDeliveries();
    const elsewhere = await this.#traced(publication, options, async () => {
      const sending = this.#kit.elsewhere.send(name, to, record, confirming?.asked);
      deliveries = this.sendHere(matches, publication);
      this.#kit.owner.published(name);
      return isOfAll ? sending : undefined;
    });
    return { receipt: receipt(id, undefined, false, deliveries, elsewhere), elsewhere };
  }

  /** Gives a message to the calls here that a selector selects, each connection once. */
  sendHere(matches: Matches, publication: Publication): Deliveries {
    const deliveries = noDeliveries();
    const confirmation = this.#kit.confirmations.of(publication);
    const seen = new Set<Entry>();
    for (const member of this.#members) {
      const { entry } = member;
      if (seen.has(entry) || !matches(member)) continue;
      seen.add(entry);
      deliveries.members++;
      const isFor = entry !== publication.notTo && (publication.to?.(member) ?? true);
      const offered = isFor ? member.direct(publication.message, publication.bytes) : "filtered";
      deliveries[offered]++;
      confirmation?.offered(member, offered);
    }
    confirmation?.sent();
    this.#kit.owner.delivered(this.#shape.name, deliveries);
    return deliveries;
  }

  /** Sends something, and waits until it is confirmed where that is asked for. */
  async #confirmed(
    options: SendOptions,
    send: (confirming: Confirming | undefined) => Promise<Sent>,
  ): Promise<Receipt> {
    const timeoutMs = confirmMs(options);
    if (timeoutMs === undefined) return (await send(undefined)).receipt;
    const { confirmations, clock, limits, elsewhere } = this.#kit;
    const untilMs = clock.nowMs() + timeoutMs;
    const here = confirmations.open(this.#shape.name, timeoutMs);
    const answerMs = Math.min(timeoutMs, limits.countTimeoutMs);
    try {
      const sent = await send({ here, asked: { token: here.token, timeoutMs, answerMs } });
      if (sent.receipt.duplicate) {
        here.cancel();
        return sent.receipt;
      }
      const waitMs = Math.max(0, untilMs - clock.nowMs()) + answerMs;
      const there = sent.elsewhere && elsewhere.confirmed(here.token, sent.elsewhere, waitMs);
      const outcomes: readonly Confirmed[] = await Promise.all([here.outcome, ...(there ? [there] : [])]);
      return { ...sent.receipt, ...addConfirmed(outcomes) };
    } catch (reason) {
      here.cancel();
      throw reason;
    }
  }

  /** @throws ConnectError of what cannot be sent */
  #prepare(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: PublishOptions,
    confirming: Confirming | undefined,
    isForRoom = true,
  ): Publication {
    if (isForRoom) checkRoom(room, "room", this.#shape.isNamed);
    const { scope, limits } = this.#kit;
    const { maxMessageBytes } = limits;
    const hasPositions = this.#settings.history !== undefined;
    const token = confirming?.here.token;
    const kit = { scope, maxMessageBytes, hasPositions, encoded: this.#encoded, token };
    return prepare(this.#shape, message, options, kit);
  }

  /** Whether an id of a publication that is not kept is new; it is known from now on. */
  #isNew(room: string, id: string, dedupeMs: number): boolean {
    if (dedupeMs === 0) return true;
    const key = `${room}/${id}`;
    const nowMs = this.#kit.clock.nowMs();
    if (this.#recent.find(key, nowMs) !== undefined) return false;
    this.#recent.add(key, true, nowMs, dedupeMs);
    return true;
  }

  /** Gives a message a span while it is sent, where there are traces. Its deliveries have none. */
  #traced<T>({ id, headers }: Publication, { from }: SendOptions, send: () => Promise<T>): Promise<T> {
    const span = messageTracing.tracer?.send({
      system: this.#kit.bus.name,
      topic: this.#shape.name,
      id,
      context: from,
      header: (name) => headers[name],
    });
    return span === undefined ? send() : spanned(span, send);
  }

  /** Rejects when the bus is away, or does not answer in time. */
  async #published(publication: BusPublication, signal: AbortSignal | undefined): Promise<BusReceipt> {
    const { bus, clock, limits } = this.#kit;
    if (signal?.aborted === true)
      throw new ConnectError("the publisher does not want it any more", Code.Canceled);
    const ending = bus.ignoresSignal === true ? undefined : new AbortController();
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(limits.publishTimeoutMs, () =>
      late.reject(unknownOutcome(publication.publication.id)),
    );
    const aborted = (): void => late.reject(new ConnectError("the publisher waits no longer", Code.Canceled));
    signal?.addEventListener("abort", aborted);
    try {
      return await Promise.race([bus.publish(publication, ending?.signal ?? neverAborted), late.promise]);
    } catch (reason) {
      ending?.abort();
      throw reason;
    } finally {
      publication.publication.encoded = undefined; // Rings keep publications.
      cancel();
      signal?.removeEventListener("abort", aborted);
    }
  }
}

async function spanned<T>(span: AttemptTrace, send: () => Promise<T>): Promise<T> {
  try {
    const sent = await send();
    span.end(undefined);
    return sent;
  } catch (reason) {
    span.end(toCallError(reason));
    throw reason;
  }
}

const neverAborted = new AbortController().signal;

/** A message that is to be confirmed. */
interface Confirming {
  /** Here. */
  readonly here: Confirmation;
  /** What other nodes are asked for. */
  readonly asked: ConfirmAsked;
}

/** What has become of a message, before it is confirmed. */
interface Sent {
  readonly receipt: Receipt;
  /** Undefined where the receipt is that of this node alone. */
  readonly elsewhere: ElsewhereDelivered | undefined;
}

function duplicateOf(id: string, position: Position | undefined): Sent {
  return { receipt: receipt(id, position, true), elsewhere: undefined };
}

function receipt(
  id: string,
  position: Position | undefined,
  duplicate: boolean,
  own: Deliveries = noDeliveries(),
  elsewhere?: ElsewhereDelivered,
): Receipt {
  const deliveries = elsewhere === undefined ? own : addDeliveries([own, elsewhere.deliveries]);
  const unreachable = elsewhere?.unreachable ?? [];
  return { id, position: position && formatPosition(position), duplicate, ...deliveries, unreachable };
}
