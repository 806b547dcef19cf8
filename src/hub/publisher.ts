import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { MessageForm } from "../core/codec/shared-message.ts";
import { Code, ConnectError, invalidArgument, toCallError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Bus, BusPublication, BusReceipt, PublicationForm } from "./bus/bus.ts";
import { RecentIds } from "./bus/recent-ids.ts";
import type { Entry } from "./connections/entry.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";
import type { Matches } from "./connections/selectable.ts";
import { prepare } from "./publishing.ts";
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
  readonly limits: PublishLimits;
  readonly clock: Clock;
  readonly owner: PublisherOwner;
  readonly form: PublicationForm;
  readonly elsewhere: Elsewhere;
}

/** What becomes of messages on the other nodes. Never rejects. */
export interface Elsewhere {
  /** Gives a message to the calls of a topic there. @param record makes the publication as it is written */
  send(topic: string, selector: Selector, record: () => Uint8Array): Promise<ElsewhereDelivered>;
  /** What becomes of a publication there that is published behind the call. @param room its path */
  delivered(room: string, id: string): Promise<ElsewhereDelivered>;
}

/** What has become of a message on other nodes. */
export interface ElsewhereDelivered {
  readonly deliveries: Deliveries;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

/** Is told what is published. */
export interface PublisherOwner {
  published(topic: string, deliveries: Deliveries): void;
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
    const publication = this.#prepare(room, message, options);
    const history = options.history === false ? undefined : this.#settings.history;
    if (history !== undefined && publication.priority === "high") {
      throw invalidArgument(
        "priority: high passes others, and what is kept has a place among them: history: false",
      );
    }
    const { id } = publication;
    const dedupeMs = options.id === undefined ? 0 : this.#settings.dedupeMs;
    if (history === undefined && !this.#isNew(room, id, dedupeMs)) return receipt(id, undefined, true);
    let deliveries = noDeliveries();
    publication.delivered = (all) => {
      deliveries = all;
    };
    const path = pathOf(this.#shape.name, room);
    const elsewhere = options.count === "cluster" ? this.#kit.elsewhere.delivered(path, id) : undefined;
    const answer = await this.#published(
      { room: path, publication, history, dedupeMs, unsureMs: this.#settings.dedupeMs },
      options.signal,
    );
    const { position, duplicate } = answer;
    if (duplicate) return receipt(id, position, true);
    this.#kit.owner.published(this.#shape.name, deliveries);
    return receipt(id, position, false, deliveries, await elsewhere);
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
    const matches = compileSelector(to, this.#kit.scope, true);
    const publication = this.#prepare("", message, options, false);
    const { id } = publication;
    const dedupeMs = options.id === undefined ? 0 : this.#settings.dedupeMs;
    if (!this.#isNew("", id, dedupeMs)) return receipt(id, undefined, true);
    const { name } = this.#shape;
    const record = (): Uint8Array => this.#kit.form.write(name, publication, 0);
    const elsewhere = this.#kit.elsewhere.send(name, to, record);
    const deliveries = this.sendHere(matches, publication);
    return receipt(
      id,
      undefined,
      false,
      deliveries,
      options.count === "cluster" ? await elsewhere : undefined,
    );
  }

  /** Gives a message to the calls here that a selector selects, each connection once. */
  sendHere(matches: Matches, publication: Publication): Deliveries {
    const deliveries = noDeliveries();
    const seen = new Set<Entry>();
    for (const member of this.#members) {
      const { entry } = member;
      if (seen.has(entry) || !matches(member)) continue;
      seen.add(entry);
      deliveries.members++;
      const isFor = entry !== publication.notTo && (publication.to?.(member) ?? true);
      deliveries[isFor ? member.direct(publication.message, publication.bytes) : "filtered"]++;
    }
    this.#kit.owner.published(this.#shape.name, deliveries);
    return deliveries;
  }

  /** @throws ConnectError of what cannot be sent */
  #prepare(
    room: string,
    message: MessageInitShape<DescMessage>,
    options: PublishOptions,
    isForRoom = true,
  ): Publication {
    if (isForRoom) checkRoom(room, "room", this.#shape.isNamed);
    const { scope, limits } = this.#kit;
    const { maxMessageBytes } = limits;
    const hasPositions = this.#settings.history !== undefined;
    const kit = { scope, maxMessageBytes, hasPositions, encoded: this.#encoded };
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

  /** Rejects when the bus is away, or does not answer in time. */
  async #published(publication: BusPublication, signal: AbortSignal | undefined): Promise<BusReceipt> {
    const { bus, clock, limits } = this.#kit;
    if (signal?.aborted === true)
      throw new ConnectError("the publisher does not want it any more", Code.Canceled);
    const ending = new AbortController();
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(limits.publishTimeoutMs, () =>
      late.reject(unknownOutcome(publication.publication.id)),
    );
    const aborted = (): void => late.reject(new ConnectError("the publisher waits no longer", Code.Canceled));
    signal?.addEventListener("abort", aborted);
    try {
      return await Promise.race([bus.publish(publication, ending.signal), late.promise]);
    } catch (reason) {
      ending.abort();
      throw reason;
    } finally {
      publication.publication.encoded = undefined; // Rings keep publications.
      cancel();
      signal?.removeEventListener("abort", aborted);
    }
  }
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
