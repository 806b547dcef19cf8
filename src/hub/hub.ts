import type { DescMessage, DescMethodServerStreaming } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { CallHead, DoorName } from "../core/admission/call-head.ts";
import type { ConnectionBook, SocketOpening } from "../core/admission/connection-book.ts";
import type { Gate } from "../core/admission/gate.ts";
import type { BookedConnection } from "../core/call/booked-connection.ts";
import { CallContext } from "../core/call/context.ts";
import type { ConnectError } from "../core/errors/errors.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import { unavailableFor } from "../core/errors/retry-info.ts";
import { rpcName } from "../core/call/service.ts";
import type { Bus } from "./bus/bus.ts";
import { memoryBus } from "./bus/memory-bus.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { type Counts, countsOf, type GroupBy } from "./connections/counts.ts";
import {
  closeError,
  closeOptions,
  type CloseOptions,
  type HubOutcome,
  retryMs,
} from "./connections/close.ts";
import { type CloseReason, type Connection, Entry, type EntryInit } from "./connections/entry.ts";
import { Limits, type RefuseReason } from "./connections/limits.ts";
import { type ConnectionPage, pageOf, type PageOptions } from "./connections/listing.ts";
import { Refusals } from "./connections/refusals.ts";
import { ConnectionCounts } from "./connections/statistics.ts";
import { Table } from "./connections/table.ts";
import type { Member } from "./room/member.ts";
import { randomName } from "./room/position.ts";
import type { RoomReset } from "./room/resets.ts";
import { Rooms } from "./rooms.ts";
import { HubTopic, type RpcTopic, serveTopic, type Topic, type TopicKit } from "./topic.ts";
import type { RpcTopicInit, TopicInit } from "./topic-options.ts";
import { shapeOfRpc, shapeOfType } from "./topic-shape.ts";
import { type HubStatistics, type MetricsPage, Topics } from "./topics.ts";
import { type HubEvents, HubListeners } from "./hub-events.ts";
import { type HubOptions, toHubOptions } from "./hub-options.ts";
import { checkedIdentity, type Identity } from "./connections/identity.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";

/** Buses that have a hub. */
const started = new WeakSet<Bus>();

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
 * streaming call is one, by whichever door it came, and can be listed, counted and closed.
 */
export class Hub implements ConnectionBook {
  /** The id of this process among those with a hub; another one in each of its lives. */
  readonly node = randomName();
  readonly gate: Gate;
  readonly #options: HubOptions;
  readonly #parts: Required<HubParts>;
  readonly #table = new Table();
  readonly #refusals: Refusals;
  readonly #limits: Limits;
  readonly #counts: ConnectionCounts;
  readonly #listeners = new HubListeners();
  readonly #topics = new Topics();
  readonly #kit: TopicKit;
  readonly #bus: Bus;
  readonly #scope: SelectorScope = { node: this.node, hasTopic: (name) => this.#topics.has(name) };
  #lastNumber = 0;
  #isStopped = false;

  /** @throws SetupError naming the option that cannot be used */
  constructor(options: Partial<HubOptions> = {}, parts: HubParts = {}) {
    this.#options = toHubOptions(options);
    this.#parts = { clock: systemClock, wallMs: Date.now, random: Math.random, ...parts };
    const { wallMs, random } = this.#parts;
    this.#refusals = new Refusals(wallMs);
    this.#limits = new Limits(this.#options, this.#table, this.#refusals, random);
    this.#counts = new ConnectionCounts(wallMs());
    const { bus = memoryBus(), name } = this.#options;
    const { clock } = this.#parts;
    if (started.has(bus)) throw new SetupError("Hub: the option bus is the bus of another hub already");
    started.add(bus);
    this.#bus = bus;
    const rooms = new Rooms({ ...this.#options, bus, clock });
    this.#kit = {
      rooms,
      bus,
      scope: this.#scope,
      limits: this.#options,
      clock,
      random,
      owner: {
        joined: (member) => this.#joined(member),
        left: (member) => this.#left(member),
        published: (topic, deliveries) => this.#topics.counts.published(topic, deliveries),
        asked: (topic, error) => this.#topics.counts.asked(topic, error),
        resumed: (topic, result) => this.#topics.counts.resumed(topic, result),
        reset: (member, reset) => this.#reset(member, reset),
      },
    };
    bus
      .start({
        name,
        id: this.node,
        clock,
        published: (room, entry) => rooms.published(room, entry),
        begun: (room, top, why) => rooms.begun(room, top, why),
        frame: () => {}, // Nodes have nothing to say to one another yet.
      })
      .catch(() => {}); // What needs it is refused until it is there.
    this.gate = {
      name: "hub",
      concerns: ({ methodKind }) => methodKind !== "unary",
      admit: (head) => this.#admit(head),
    };
  }

  /**
   * An rpc whose stream is a topic: `serve` of the result is its handler.
   *
   * @throws SetupError naming rpc and field for what its contract says wrongly, or both topics of one name
   */
  topic<M extends DescMethodServerStreaming>(method: M, init?: RpcTopicInit<M>): RpcTopic<M>;
  /** A topic of a type of messages, for handlers that join its rooms. @throws SetupError as for an rpc */
  topic<D extends DescMessage>(name: string, schema: D, init?: TopicInit): Topic<D>;
  topic(
    from: DescMethodServerStreaming | string,
    second: DescMessage | TopicInit = {},
    third: TopicInit = {},
  ): RpcTopic<DescMethodServerStreaming> | Topic<DescMessage> {
    const init = typeof from === "string" ? third : (second as TopicInit); // As the overloads say.
    if (typeof from === "string") {
      const shape = shapeOfType(from, second as DescMessage);
      return this.#topics.add(new HubTopic(shape, init, this.#kit, from), from);
    }
    const { roomsOf, ...stated } = shapeOfRpc(from);
    const shape = { ...stated, name: init.name ?? stated.name };
    const topic = this.#topics.add(new HubTopic(shape, init, this.#kit, rpcName(from)), rpcName(from));
    return Object.assign(topic, { serve: serveTopic(topic, roomsOf) });
  }

  /**
   * A page of the connections, in the order of their ids. One that is there while all pages are read is on one of them.
   *
   * @param selector Default: all of them
   * @throws ConnectError INVALID_ARGUMENT naming the field that cannot be used
   */
  async connections(selector: Selector = {}, options: PageOptions = {}): Promise<ConnectionPage> {
    return pageOf(this.#table, this.#scope, selector, options);
  }

  /** The connection of an id; undefined where there is none. */
  async connection(id: string): Promise<Connection | undefined> {
    const [node, number = ""] = id.split("-");
    return node === this.node ? this.#table.find(Number(number))?.describe() : undefined;
  }

  /**
   * Counts connections.
   *
   * @param selector Default: all of them
   * @param by what they are counted by in groups
   * @throws ConnectError INVALID_ARGUMENT naming what cannot be used
   */
  async count(selector: Selector = {}, by?: GroupBy): Promise<Counts> {
    return countsOf(this.#table, this.#scope, selector, by);
  }

  /**
   * Ends connections, behind what is written already, as their doors end failed calls.
   *
   * @throws ConnectError INVALID_ARGUMENT for a selector without a field, or naming what cannot be used
   */
  async close(selector: Selector, options: CloseOptions = {}): Promise<HubOutcome> {
    const matches = compileSelector(selector, this.#scope, true);
    const checked = closeOptions(options);
    if (checked.refuseMs > 0) this.#refusals.add(selector, checked);
    let selected = 0;
    let done = 0;
    await this.#table.each(0, (entry) => {
      if (!matches(entry)) return true;
      selected++;
      if (this.#close(entry, checked, "closed")) done++;
      return true;
    });
    return { selected, done, failed: selected - done, unreachable: [] };
  }

  /** What the connections have done since the hub was made. */
  async statistics(): Promise<HubStatistics> {
    const { rooms } = this.#kit;
    return {
      ...this.#counts.read(this.#table),
      rooms: rooms.size,
      ringBytes: rooms.ringBytes,
      ...this.#topics.counts.totals(),
    };
  }

  /** The processes with a hub. */
  nodes(): readonly NodeInfo[] {
    return [{ id: this.node, isLocal: true, connections: this.#table.size }];
  }

  /** Calls `listener` with every such event. @returns a function that unsubscribes it */
  on<E extends keyof HubEvents>(event: E, listener: (event: HubEvents[E]) => void): () => void {
    return this.#listeners.on(event, listener);
  }

  /** Adds the hub's metrics to a page. @returns a function that takes them from it */
  watch(metrics: MetricsPage): () => void {
    const counts = this.#counts;
    const watched = [
      metrics.watch("hubConnections", () =>
        [...counts.byDoor()].map(({ door, active: value }) => ({ labels: { door }, value })),
      ),
      metrics.watch("hubConnectionsTotal", () =>
        [...counts.byDoor()].map(({ door, opened: value }) => ({ labels: { door }, value })),
      ),
      metrics.watch("hubRefused", () =>
        [...counts.refusedBy].map(([reason, value]) => ({ labels: { reason }, value })),
      ),
      metrics.watch("hubClosed", () =>
        [...counts.closedBy()].map(({ door, reason, count: value }) => ({ labels: { door, reason }, value })),
      ),
      ...this.#topics.counts.watch(metrics),
    ];
    return () => {
      for (const end of watched) end();
    };
  }

  /** Closes all connections, and refuses further ones. Belongs behind the stop of its servers. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const options = { reason: "the server is shutting down", reconnect: true };
    for (const entry of this.#table) this.#close(entry, options, "closed");
    await this.#bus.close();
  }

  /** @throws ConnectError */
  openSocket({ address, userAgent, method, sentBytes, close }: SocketOpening): BookedConnection {
    this.#refuse("websocket", this.#limits.forAddress(address));
    return this.#enter(
      { door: "websocket", address, userAgent, method, socket: { sentBytes, close } },
      undefined,
    );
  }

  #admit(head: CallHead): void | Promise<void> {
    const { context, door } = head;
    if (!(context instanceof CallContext)) return undefined; // None of our servers'.
    // Calls of handlers in this process are parts of the connection that the handlers serve.
    if (door === "in-process" && context.connection !== undefined) return undefined;
    const identity = this.#options.identify(context);
    if (identity instanceof Promise) return identity.then((found) => this.#begin(head, context, found));
    this.#begin(head, context, identity);
    return undefined;
  }

  /** A call begins, whose client is known. @throws ConnectError by which it is refused */
  #begin(head: CallHead, context: CallContext, found: Identity): void {
    if (context.isEnded || context.reason !== undefined) return; // Its client has left.
    const identity = checkedIdentity(found);
    const known = context.connection instanceof Entry ? context.connection : undefined;
    let entry: Entry;
    if (known === undefined) {
      entry = this.#open(head, identity);
      context.connection = entry;
    } else {
      entry = known;
      if (!entry.isIdentified) this.#identify(entry, identity);
    }
    this.#counts.callBegan(entry);
    entry.add(context);
  }

  #open(head: CallHead, identity: Identity): Entry {
    const { door, method, client } = head;
    const { user } = identity;
    const address = client.ip;
    if (!isForOperators(method.parent.typeName)) {
      this.#refuse(door, this.#limits.forAddress(address) ?? this.#limits.forUser(user, address));
    }
    this.#displace(user);
    const userAgent = head.header("user-agent") ?? "";
    return this.#enter({ door, address, userAgent, method, socket: undefined }, identity);
  }

  /** The first call of a socket says whose it is. @throws ConnectError where the user has too many connections */
  #identify(entry: Entry, identity: Identity): void {
    const { user } = identity;
    this.#refuse(entry.door, this.#limits.forUser(user, entry.address));
    this.#displace(user);
    entry.identified(identity);
    this.#table.identified(entry);
  }

  #displace(user: string | undefined): void {
    const oldest = this.#limits.displaced(user);
    const options = { reason: "another connection of the user has taken its place", reconnect: false };
    if (oldest !== undefined) this.#close(oldest, options, "user_limit");
  }

  #enter(init: Omit<EntryInit, "node" | "number">, identity: Identity | undefined): Entry {
    const entry = new Entry({ ...init, node: this.node, number: ++this.#lastNumber }, this.#owner);
    if (identity !== undefined) entry.identified(identity);
    this.#table.add(entry);
    this.#counts.opened(entry.door);
    this.#listeners.emit("connected", () => ({ connection: entry.describe() }));
    return entry;
  }

  /** @throws ConnectError of the refusal, or UNAVAILABLE behind `stop` */
  #refuse(
    door: DoorName,
    refused: { readonly reason: RefuseReason; readonly error: ConnectError } | undefined,
  ): void {
    if (this.#isStopped) {
      throw unavailableFor("the server is shutting down", retryMs(this.#parts.random));
    }
    if (refused === undefined) return;
    this.#counts.refused(door, refused.reason);
    throw refused.error;
  }

  #close(
    entry: Entry,
    options: Pick<Required<CloseOptions>, "reason" | "reconnect">,
    why: CloseReason,
  ): boolean {
    return entry.close(closeError(options, retryMs(this.#parts.random)), why);
  }

  #joined({ entry, memberships }: Member): void {
    for (const { room } of memberships) {
      entry.joined(room.path);
      this.#listeners.emit("joined", () => ({ connection: entry.describe(), room: room.path }));
    }
    this.#topics.counts.members += memberships.length;
  }

  #left({ entry, memberships }: Member): void {
    for (const { room } of memberships) {
      entry.leftRoom(room.path);
      this.#listeners.emit("left", () => ({ connection: entry.describe(), room: room.path }));
    }
    this.#topics.counts.members -= memberships.length;
  }

  #reset({ entry, memberships }: Member, { room: name, reason }: RoomReset): void {
    const room = memberships.find((membership) => membership.room.name === name)?.room;
    if (room === undefined) return;
    this.#topics.counts.wasReset(room.topic, reason);
    this.#listeners.emit("reset", () => ({ connection: entry.describe(), room: room.path, reason }));
  }

  readonly #owner = {
    wallMs: (): number => this.#parts.wallMs(),
    callEnded: (entry: Entry, call: CallContext): void => this.#counts.callEnded(entry, call),
    left: (entry: Entry, reason: CloseReason): void => {
      this.#table.delete(entry);
      this.#counts.left(entry, reason);
      this.#listeners.emit("disconnected", () => ({ connection: entry.describe(), reason }));
    },
  };
}

/** The connection of a handler's call as it is now; undefined where its server has no hub. */
export function connectionOf(context: HandlerContext): Connection | undefined {
  const connection = context instanceof CallContext ? context.connection : undefined;
  return connection instanceof Entry ? connection.describe() : undefined;
}

/** Health and reflection are never refused: by them balancers and people look at a server that is full. */
function isForOperators(service: string): boolean {
  return service.startsWith("grpc.health.") || service.startsWith("grpc.reflection.");
}
