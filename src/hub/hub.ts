import type { DescMessage, MessageInitShape, Registry } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { HubAdminService } from "../../gen/ts_ms/hub/v1/admin_pb.ts";
import type { HubService } from "../../gen/ts_ms/hub/v1/hub_pb.ts";
import type { ConnectionBook, ServerBook } from "../core/admission/connection-book.ts";
import { reached, type Reach } from "../core/call/reach.ts";
import { CallContext } from "../core/call/context.ts";
import { rpcName, type Service } from "../core/call/service.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { AllNodes } from "./all-nodes.ts";
import type { Bus } from "./bus/bus.ts";
import { BusCounts } from "./bus-counts.ts";
import { BusLife } from "./bus-life.ts";
import { LocalWhenDown } from "./bus/local-when-down.ts";
import { memoryBus } from "./bus/memory-bus.ts";
import { type CloseOptions, closeOptions, type HubOutcome } from "./connections/close.ts";
import type { Connection } from "./connections/connection.ts";
import type { Counts, GroupBy } from "./connections/counts.ts";
import { Entry } from "./connections/entry.ts";
import type { ConnectionPage, PageOptions } from "./connections/listing.ts";
import type { Selector, SelectorScope } from "./connections/selector.ts";
import type { MetricsPage } from "./connections/statistics.ts";
import { type HubEvents, HubListeners } from "./hub-events.ts";
import { type HubOptions, toHubOptions } from "./hub-options.ts";
import { ListenedRooms } from "./listened.ts";
import { LiveConnections } from "./live-connections.ts";
import { MemberChanges } from "./member-changes.ts";
import { Nodes } from "./nodes/nodes.ts";
import { ownConnections } from "./own-connections.ts";
import { PublicationCodec } from "./publication-codec.ts";
import { Confirmations } from "./room/confirmations.ts";
import type { Member } from "./room/member.ts";
import type { Membership } from "./room/membership.ts";
import type { RoomReset } from "./room/resets.ts";
import { NodePresence } from "./presence/node-presence.ts";
import type { RoomPage, RoomsQuery } from "./room-listing.ts";
import { RoomMetrics } from "./room-metrics.ts";
import { Rooms } from "./rooms.ts";
import { HubTopic, serveTopic } from "./topic.ts";
import { serveTalks } from "./talk.ts";
import type { TopicKit } from "./topic-kit.ts";
import type { RpcTopic, Topic } from "./typed-topic.ts";
import type { Receipt, RpcTopicInit, TopicInit } from "./topic-options.ts";
import { shapeOfRpc, shapeOfType, type TopicMethod } from "./topic-shape.ts";
import { hubService } from "./services/hub-service.ts";
import { type AdminOptions, hubAdminService } from "./services/hub-admin-service.ts";
import { type HubStatistics, Topics } from "./topics.ts";

/** Buses that have a hub. */
const taken = new WeakSet<Bus>();

/** What a hub needs beside its options. */
export interface HubParts {
  /** Default: that of the process. */
  readonly clock?: Clock;
  /** Milliseconds since 1970. Default: the system's. */
  readonly wallMs?: () => number;
  /** Returns numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** A process with a hub. */
export interface NodeInfo {
  readonly id: string;
  /** Whether it is this process. */
  readonly isLocal: boolean;
  readonly connections: number;
}

/**
 * Knows the live connections of the servers that it is given to as the option `hub`: every WebSocket and every other
 * streaming call is one, by whichever door it came, and can be listed, counted and closed. Calls of its topics are in
 * rooms.
 */
export class Hub implements ConnectionBook {
  readonly #live: LiveConnections;
  readonly #changes: MemberChanges;
  readonly #listeners = new HubListeners();
  readonly #topics = new Topics();
  readonly #presence: NodePresence;
  readonly #kit: TopicKit;
  readonly #nodes: Nodes;
  readonly #bus: BusCounts;
  readonly #all: AllNodes;
  readonly #busLife: BusLife;
  readonly #confirmations: Confirmations;
  readonly #scope: SelectorScope;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: Partial<HubOptions> = {}, parts: HubParts = {}) {
    const merged = toHubOptions(options);
    const { clock, wallMs, random } = {
      clock: systemClock,
      wallMs: Date.now,
      random: Math.random,
      ...parts,
    };
    const { bus: given = memoryBus(), name } = merged;
    if (taken.has(given)) throw new SetupError("Hub: the option bus is the bus of another hub already");
    taken.add(given);
    const bus = merged.whenBusDown === "local" ? new LocalWhenDown(given) : given;
    this.#live = new LiveConnections(merged, { clock, wallMs, random }, this.#listeners, {
      grantsOf: (entry, nowMs) => this.#changes.recheckDue(entry, nowMs),
      renewed: (entry, calls) => this.#changes.renewed(entry, calls),
      confirmed: (entry, token) => this.#confirmations.confirmed(entry, token),
      resumed: () => this.#busLife.start(),
      over: () => {
        this.#presence.stop();
        this.#busLife.close();
      },
    });
    const confirmations = new Confirmations({
      node: this.node,
      clock,
      counted: (topic, outcome) => this.#topics.counts.confirmed(topic, outcome),
    });
    this.#confirmations = confirmations;
    const rooms = new Rooms({
      ...merged,
      bus,
      clock,
      confirmations,
      delivered: (topic, deliveries) => this.#topics.counts.delivered(topic, deliveries),
    });
    this.#nodes = new Nodes({
      ...merged,
      id: this.node,
      bus,
      clock,
      connections: () => this.#live.table.size,
    });
    const form = new PublicationCodec({
      shapeOf: (topic) => this.#topics.find(topic)?.shape,
      entryOf: (id) => this.#entryOf(id),
      scope: { node: this.node, hasTopic: () => true },
      clock,
      wallMs,
      encoded: (as) => this.#topics.counts.encoded(as),
    });
    this.#changes = new MemberChanges(this.#live, this.#topics, merged.identify);
    this.#presence = new NodePresence(this.node, this.#nodes, clock);
    this.#scope = { node: this.node, hasTopic: (name) => this.#topics.has(name) };
    const own = ownConnections({
      ...{
        live: this.#live,
        changes: this.#changes,
        topics: this.#topics,
        rooms,
        form,
        node: this.node,
        confirmations,
      },
      gaps: () => this.#bus.gaps,
    });
    this.#all = new AllNodes(own, this.#nodes, this.#scope);
    this.#kit = {
      rooms,
      form,
      elsewhere: this.#all,
      confirmations,
      bus,
      scope: this.#scope,
      limits: merged,
      settingsOf: (topic) => merged.topics[topic] ?? {},
      clock,
      wallMs,
      random,
      presence: this.#presence,
      connection: (id) => this.#entryOf(id),
      owner: {
        joined: (membership) => this.#joined(membership),
        left: (membership) => this.#left(membership),
        granted: ({ grant: { endsAtMs } }) => this.#live.ends(endsAtMs),
        published: (topic) => this.#topics.counts.published(topic),
        delivered: (topic, deliveries) => this.#topics.counts.delivered(topic, deliveries),
        took: (topic, ms) => this.#topics.counts.took(topic, ms),
        encoded: (form) => this.#topics.counts.encoded(form),
        asked: (topic, error) => this.#topics.counts.asked(topic, error),
        resumed: (topic, result) => this.#topics.counts.resumed(topic, result),
        replayed: (topic, count) => this.#topics.counts.replayed(topic, count),
        reset: (member, reset) => this.#reset(member, reset),
        acknowledged: (topic, result) => this.#topics.counts.acknowledged(topic, result),
      },
    };
    const nodes = this.#nodes;
    this.#bus = new BusCounts(
      bus.name,
      () => nodes.others.length + 1,
      () => nodes.brokenFrames,
    );
    const node = {
      name,
      id: this.node,
      clock,
      form,
      published: rooms.published.bind(rooms),
      begun: rooms.begun.bind(rooms),
      frame: (bytes: Uint8Array) => this.#nodes.frame(bytes),
      busIs: (isUp: boolean) => {
        const isChange = isUp !== this.#bus.isUp;
        this.#bus.isUp = isUp;
        this.#nodes.busIs(isUp);
        if (isChange) this.#listeners.emit("bus", () => ({ name: bus.name, isUp }));
      },
      checkMs: merged.checkMs,
      probeMs: merged.probeMs,
      gap: this.#bus.gap.bind(this.#bus),
      did: this.#bus.did.bind(this.#bus),
    };
    this.#busLife = new BusLife(bus, node, this.#nodes);
    this.#busLife.start();
  }

  /** The id of this process among those with a hub; another one in each of its lives. */
  get node(): string {
    return this.#live.node;
  }

  /** Called by each server that has this hub. */
  attach(): ServerBook {
    return this.#live.attach();
  }

  /**
   * An rpc whose stream is a topic: `serve` of the result is its handler. Of a bidirectional rpc the first message of a call
   * names the room, and those behind it are `onMessage`'s.
   *
   * @throws SetupError naming rpc and field for what its contract says wrongly, or both topics of one name
   */
  topic<M extends TopicMethod>(method: M, init?: RpcTopicInit<M>): RpcTopic<M>;
  /** A topic of a type of messages, for handlers that join its rooms. @throws SetupError as for an rpc */
  topic<D extends DescMessage>(name: string, schema: D, init?: TopicInit): Topic<D>;
  topic(
    from: TopicMethod | string,
    second: DescMessage | RpcTopicInit<TopicMethod> = {},
    third: TopicInit = {},
  ): RpcTopic<TopicMethod> | Topic<DescMessage> {
    if (typeof from === "string") {
      const shape = shapeOfType(from, second as DescMessage); // As the overloads say.
      return this.#topics.add(new HubTopic(shape, third, this.#kit, from), from);
    }
    const init = second as RpcTopicInit<TopicMethod>; // The same.
    const { roomsOf, ...stated } = shapeOfRpc(from);
    const shape = { ...stated, name: init.name ?? stated.name };
    const topic = this.#topics.add(new HubTopic(shape, init, this.#kit, rpcName(from)), rpcName(from));
    if (from.methodKind === "bidi_streaming")
      return Object.assign(topic, { serve: serveTalks(topic, roomsOf, init) });
    if (init.onMessage !== undefined)
      throw new SetupError(`${rpcName(from)}: onMessage is for bidirectional streams`);
    return Object.assign(topic, { serve: serveTopic(topic, roomsOf) });
  }

  /**
   * Publishes in a room of a topic by its name, as `Topic.publish` of the topic does.
   *
   * @throws ConnectError INVALID_ARGUMENT for an unknown topic
   */
  async publish(topic: string, room: string, message: MessageInitShape<DescMessage>): Promise<Receipt> {
    return this.#topics.named(topic, "topic").publish(room, message);
  }

  /** Whether there is a topic of a name. */
  hasTopic(name: string): boolean {
    return this.#topics.has(name);
  }

  /**
   * A page of the connections, in the order of their ids. One that is there while all pages are read is on one of them.
   *
   * @param selector Default: all of them
   * @throws ConnectError INVALID_ARGUMENT naming the field that cannot be used
   */
  async connections(
    selector: Selector = {},
    options: PageOptions & { readonly local?: boolean } = {},
  ): Promise<ConnectionPage> {
    return this.#all.connections(selector, options);
  }

  /** The connection of an id; undefined where there is none. */
  async connection(id: string): Promise<Connection | undefined> {
    return this.#entryOf(id)?.describe() ?? this.#all.connection(id);
  }

  /**
   * Counts connections.
   *
   * @param selector Default: all of them
   * @param by what they are counted by in groups
   * @throws ConnectError INVALID_ARGUMENT naming what cannot be used
   */
  async count(selector: Selector = {}, by?: GroupBy): Promise<Counts> {
    return this.#all.count(selector, by);
  }

  /**
   * Ends connections, behind what is written already, as their doors end failed calls. Of a WebSocket whose calls are of
   * several users, and that is not selected itself, the selected calls end.
   *
   * @throws ConnectError INVALID_ARGUMENT for a selector without a field, or naming what cannot be used
   */
  async close(selector: Selector, options: CloseOptions = {}): Promise<HubOutcome> {
    return this.#all.change(selector, { kind: "close", options: closeOptions(options) });
  }

  /**
   * Adds a room to the calls of selected connections that read its topic already, by the same checks as when they join.
   * Those without such a call, and those that are refused, are `failed`.
   *
   * @param room `topic/room`, or `topic` for the room without a name
   * @throws ConnectError INVALID_ARGUMENT for a selector without a field, or naming what cannot be used
   */
  async join(selector: Selector, room: string): Promise<HubOutcome> {
    return this.#all.change(selector, { kind: "join", room });
  }

  /**
   * Takes the calls of selected connections out of a room; a call whose last room is left ends, and that well. Those that
   * are not there are `failed`.
   *
   * @param room `topic/room`, or `topic` for the room without a name
   * @throws ConnectError INVALID_ARGUMENT for a selector without a field, or naming what cannot be used
   */
  async leave(selector: Selector, room: string): Promise<HubOutcome> {
    return this.#all.change(selector, { kind: "leave", room });
  }

  /**
   * Asks `identify` and `authorize` again for the calls of selected connections that read topics. One that is refused ends
   * with PERMISSION_DENIED, and its connection counts as `failed`; other calls on its socket go on.
   *
   * @throws ConnectError INVALID_ARGUMENT for a selector without a field, or naming what cannot be used
   */
  async recheck(selector: Selector): Promise<HubOutcome> {
    return this.#all.change(selector, { kind: "recheck" });
  }

  /**
   * A page of the rooms that have members, in the order of their texts.
   *
   * @throws ConnectError INVALID_ARGUMENT naming what cannot be used
   */
  async rooms(query: RoomsQuery = {}): Promise<RoomPage> {
    if (query.topic !== undefined) this.#topics.named(query.topic, "topic");
    return this.#all.rooms(query);
  }

  /**
   * What the connections have done since the hub was made.
   *
   * @param options `cluster`: whether those of all nodes count. Default: those of this process alone
   */
  async statistics({ cluster = false }: { readonly cluster?: boolean } = {}): Promise<HubStatistics> {
    return { ...(await this.#all.statistics(cluster)), busUp: this.#bus.isUp };
  }

  /** The processes with this hub that live, as far as it is known here: this one, then the others in the order of their ids. */
  nodes(): readonly NodeInfo[] {
    const others = this.#nodes.others.map(({ id, connections }) => ({ id, isLocal: false, connections }));
    const own = { id: this.node, isLocal: true, connections: this.#live.table.size };
    return [own, ...others.sort((one, other) => (one.id < other.id ? -1 : 1))];
  }

  /** Calls `listener` with every such event. @returns a function that unsubscribes it */
  on<E extends keyof HubEvents>(event: E, listener: (event: HubEvents[E]) => void): () => void {
    return this.#listeners.on(event, listener);
  }

  /** Adds the hub's metrics to a page. @returns a function that takes them from it */
  watch(metrics: MetricsPage): () => void {
    const counts = [
      this.#live.counts,
      this.#topics.counts,
      new RoomMetrics(this.#kit.rooms, this.#topics),
      this.#presence.counts,
      this.#bus,
    ];
    const watched = counts.flatMap((some) => some.watch(metrics));
    return () => {
      for (const end of watched) end();
    };
  }

  /**
   * The service `ts_ms.hub.v1.HubAdminService`, which shows this hub and changes it, to be added to a server.
   *
   * @throws SetupError without `allow`
   */
  admin(options: AdminOptions): Service<typeof HubAdminService> {
    return hubAdminService(
      this,
      {
        topic: (name, field) => this.#topics.named(name, field),
        roomOf: (path) => this.#changes.roomOf(path),
      },
      options,
    );
  }

  /** Types of messages of all topics, which servers of the hub know for `google.protobuf.Any`. */
  get types(): Registry {
    return this.#topics.types;
  }

  /**
   * The service `ts_ms.hub.v1.HubService`, by which clients read rooms without an rpc of their own, to be added to a server.
   * Each topic decides on its rooms. The health of the service is NOT_SERVING while the bus is down.
   */
  service(): Service<typeof HubService> {
    const { maxRoomsPerCall } = this.#kit.limits;
    const service = hubService(
      new ListenedRooms({
        maxRoomsPerCall,
        roomOf: (path, field) => this.#changes.roomOf(path, field),
        visitorOf: (context) => this.#live.visitorOf(context),
      }),
    );
    return Object.assign(service, { [reached]: this.#reach });
  }

  /** How its bus can be reached: the health of its service, while readiness is that of the program. */
  get #reach(): Reach {
    const bus = this.#bus;
    return {
      get canBeCalled() {
        return bus.isUp;
      },
      onChange: (fn) => this.#listeners.on("bus", fn),
    };
  }

  /**
   * Closes all connections, and refuses further ones for good. A hub does so by itself while none of its servers serves.
   * Idempotent.
   */
  async stop(): Promise<void> {
    this.#live.stop();
  }

  /** The connection of an id; undefined for one that has ended, or of another node. */
  #entryOf(id: string): Entry | undefined {
    const [node, number = ""] = id.split("-");
    return node === this.node ? this.#live.table.find(Number(number)) : undefined;
  }

  #joined({ member: { entry }, room: { path: room }, grant: { endsAtMs } }: Membership): void {
    this.#live.ends(endsAtMs);
    this.#topics.counts.members++;
    this.#listeners.emit("joined", () => ({ connection: entry.describe(), room }));
  }

  #reset(member: Member, { room: name, reason }: RoomReset): void {
    const room = member.placeIn(name)?.room;
    if (room === undefined) return;
    this.#topics.counts.wasReset(room.topic, reason);
    this.#listeners.emit("reset", () => ({ connection: member.entry.describe(), room: room.path, reason }));
  }

  #left({ member, room: { path: room } }: Membership): void {
    const { entry } = member;
    if (member.isOver) this.#confirmations.left(member);
    this.#topics.counts.members--;
    this.#listeners.emit("left", () => ({ connection: entry.describe(), room }));
  }
}

/** The connection of a handler's call as it is now; undefined where its server has no hub. */
export function connectionOf(context: HandlerContext): Connection | undefined {
  const connection = context instanceof CallContext ? context.connection : undefined;
  return connection instanceof Entry ? connection.describe() : undefined;
}
