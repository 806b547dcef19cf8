import type { CloseOptions, HubOutcome } from "./connections/close.ts";
import type { Connection } from "./connections/connection.ts";
import { type Counts, type GroupBy, sumCounts } from "./connections/counts.ts";
import { type ConnectionPage, joinPages, type PageOptions, pageAsked } from "./connections/listing.ts";
import type { Refused } from "./connections/refusals.ts";
import { compileSelector, type Selector, type SelectorScope } from "./connections/selector.ts";
import { type ConnectionTotals, statisticsOf } from "./connections/statistics.ts";
import { HubCalls, type Replies } from "./nodes/hub-calls.ts";
import type { Nodes } from "./nodes/nodes.ts";
import type { ConfirmAsked, Elsewhere, ElsewhereDelivered } from "./elsewhere.ts";
import { addConfirmed, type Confirmed } from "./room/confirmations.ts";
import { addDeliveries, type Deliveries } from "./room/publication.ts";
import { joinRooms, type RoomInfo, type RoomPage, roomsAsked, type RoomsQuery } from "./room-listing.ts";
import { type HubStatistics, sumTopics, type TopicTotals } from "./topics.ts";

/** What changes connections, with a selector. */
export type HubChange =
  | { readonly kind: "close"; readonly options: Required<CloseOptions> }
  | { readonly kind: "join" | "leave"; readonly room: string }
  | { readonly kind: "recheck" };

/** What a hub does for its own connections. */
export interface OwnConnections {
  list(selector: Selector, after: number, limit: number): Promise<readonly Connection[]>;
  count(selector: Selector, by: GroupBy | undefined): Promise<Counts>;
  /** @throws ConnectError INVALID_ARGUMENT for a change that cannot be made */
  check(selector: Selector, change: HubChange): void;
  change(selector: Selector, change: HubChange): Promise<HubOutcome>;
  rooms(topic: string | undefined, after: string | undefined, limit: number): Promise<readonly RoomInfo[]>;
  totals(): NodeTotals;
  /** Gives a message to the calls of a topic that a selector selects. @param record of the publication, in base64 */
  send(topic: string, selector: Selector, record: string, confirm: ConfirmAsked | undefined): Deliveries;
  /** What becomes of a publication of another node that comes next. @returns undefined where it does not come in time */
  delivered(room: string, id: string, confirm: ConfirmAsked | undefined): Promise<Deliveries | undefined>;
  /** How many connections have confirmed a message of another node. @throws ConnectError NOT_FOUND where its time is over */
  confirmed(token: string): Promise<Confirmed>;
  /** Whom it refuses for a while as their connections were closed. */
  readonly refused: readonly Refused[];
}

/** What a node has counted. */
export interface NodeTotals {
  readonly connections: ConnectionTotals;
  readonly topics: TopicTotals;
}

type Selecting<A> = A & { readonly selector: Selector };

/** What nodes ask of one another. */
interface Functions {
  list: {
    argument: Selecting<{ readonly after: number; readonly limit: number }>;
    result: readonly Connection[];
  };
  count: { argument: Selecting<{ readonly by: GroupBy | undefined }>; result: Counts };
  change: { argument: Selecting<{ readonly change: HubChange }>; result: HubOutcome };
  rooms: {
    argument: {
      readonly topic: string | undefined;
      readonly after: string | undefined;
      readonly limit: number;
    };
    result: readonly RoomInfo[];
  };
  totals: { argument: Record<string, never>; result: NodeTotals };
  send: {
    argument: Selecting<{ readonly topic: string; readonly record: string; readonly confirm?: ConfirmAsked }>;
    result: Deliveries;
  };
  delivered: {
    argument: { readonly room: string; readonly id: string; readonly confirm?: ConfirmAsked };
    result: Deliveries;
  };
  confirmed: { argument: { readonly token: string }; result: Confirmed };
}

/**
 * The functions of a hub for the connections of all its nodes: each is done here and asked of the others, and what they
 * answer is put together. A node without an answer within `countTimeoutMs` is named in `unreachable`; it is never an error.
 */
export class AllNodes implements Elsewhere {
  readonly #own: OwnConnections;
  readonly #nodes: Nodes;
  readonly #scope: SelectorScope;
  readonly #calls: HubCalls<Functions>;

  constructor(own: OwnConnections, nodes: Nodes, scope: SelectorScope) {
    this.#own = own;
    this.#nodes = nodes;
    this.#scope = scope;
    this.#calls = new HubCalls<Functions>(nodes);
    this.#calls.serve("list", ({ selector, after, limit }) => own.list(selector, after, limit));
    this.#calls.serve("count", ({ selector, by }) => own.count(selector, by));
    this.#calls.serve("change", ({ selector, change }) => own.change(selector, change));
    this.#calls.serve("rooms", ({ topic, after, limit }) => own.rooms(topic, after, limit));
    this.#calls.serve("totals", async () => own.totals());
    this.#calls.serve("send", async ({ topic, selector, record, confirm }) =>
      own.send(topic, selector, record, confirm),
    );
    this.#calls.serve("confirmed", ({ token }) => own.confirmed(token));
    this.#calls.serve("delivered", async ({ room, id, confirm }) => {
      const deliveries = await own.delivered(room, id, confirm);
      if (deliveries === undefined) throw new Error("the publication has not come in time");
      return deliveries;
    });
    nodes.listen({ came: (node) => this.#refuseAt(node) });
  }

  /** See `Hub.connections`. */
  async connections(
    selector: Selector,
    options: PageOptions & { readonly local?: boolean },
  ): Promise<ConnectionPage> {
    compileSelector(selector, this.#scope);
    const asked = pageAsked(selector, options);
    const { limit, after } = asked;
    const ids = this.#among(selector, options.local) ?? this.#nodes.others.map(({ id }) => id);
    const others = ids.filter((id) => id >= after.node && id !== this.#scope.node);
    const own = this.#scope.node >= after.node ? this.#listOf(this.#scope.node, selector, asked) : [];
    const [here, ...there] = await Promise.all([
      own,
      ...others.map((id) =>
        this.#calls.ask("list", { selector, limit, after: id === after.node ? after.number : 0 }, [id]),
      ),
    ]);
    const found = [here, ...there.flatMap(({ results }) => results.map((list) => list.map(revived)))];
    return joinPages(found.flat(), asked, unreachableOf(there));
  }

  /** See `Hub.connection`. */
  async connection(id: string): Promise<Connection | undefined> {
    const [node = ""] = id.split("-");
    const asked = await this.connections({ connections: [id], nodes: [node] }, { pageSize: 1 });
    return asked.connections[0];
  }

  /** See `Hub.count`. */
  async count(selector: Selector, by: GroupBy | undefined): Promise<Counts> {
    compileSelector(selector, this.#scope);
    const asking = this.#calls.ask("count", { selector, by }, this.#among(selector));
    const [own, { results, unreachable }] = await Promise.all([this.#own.count(selector, by), asking]);
    return { ...sumCounts([own, ...results]), unreachable };
  }

  /** See `Hub.close`, `join`, `leave`, `recheck`. */
  async change(selector: Selector, change: HubChange): Promise<HubOutcome> {
    compileSelector(selector, this.#scope, true);
    this.#own.check(selector, change);
    // Users are refused on all nodes, also where the selector selects connections of some alone.
    const among = change.kind === "close" && change.options.refuseMs > 0 ? undefined : this.#among(selector);
    const [here, { results, unreachable }] = await Promise.all([
      this.#own.change(selector, change),
      this.#calls.ask("change", { selector, change }, among),
    ]);
    const all = [here, ...results];
    const sum = (of: "selected" | "done" | "failed") => all.reduce((total, one) => total + one[of], 0);
    return { selected: sum("selected"), done: sum("done"), failed: sum("failed"), unreachable };
  }

  /** See `Hub.rooms`. */
  async rooms(query: RoomsQuery): Promise<RoomPage> {
    const asked = roomsAsked(query);
    const { topic, after, limit } = asked;
    const [here, { results, unreachable }] = await Promise.all([
      this.#own.rooms(topic, after, limit),
      this.#calls.ask("rooms", { topic, after, limit }),
    ]);
    return joinRooms([here, ...results], asked, unreachable);
  }

  /** See `Hub.statistics`. */
  async statistics(isOfAll: boolean): Promise<Omit<HubStatistics, "busUp">> {
    const { results, unreachable } = isOfAll
      ? await this.#calls.ask("totals", {})
      : { results: [], unreachable: [] };
    const own = this.#own.totals();
    return {
      ...statisticsOf([own, ...results].map(({ connections }) => connections)),
      ...sumTopics(
        own.topics,
        results.map(({ topics }) => topics),
      ),
      unreachable,
    };
  }

  async send(
    topic: string,
    selector: Selector,
    record: () => Uint8Array,
    confirm?: ConfirmAsked,
  ): Promise<ElsewhereDelivered> {
    if (this.#nodes.others.length === 0) return nothingElsewhere;
    const argument = { topic, selector, record: Buffer.from(record()).toString("base64"), ...asked(confirm) };
    const replies = await this.#calls.ask("send", argument, this.#among(selector), confirm?.answerMs);
    return deliveredBy(replies);
  }

  async delivered(room: string, id: string, confirm?: ConfirmAsked): Promise<ElsewhereDelivered> {
    const argument = { room, id, ...asked(confirm) };
    return deliveredBy(await this.#calls.ask("delivered", argument, undefined, confirm?.answerMs));
  }

  async confirmed(token: string, { byNode }: ElsewhereDelivered, waitMs: number): Promise<Confirmed> {
    const sent = byNode.filter(({ deliveries }) => deliveries.sent + deliveries.lagging > 0);
    if (sent.length === 0) return { confirmed: 0, unconfirmed: 0 };
    const among = sent.map(({ node }) => node);
    const { results, nodes } = await this.#calls.ask("confirmed", { token }, among, waitMs);
    // Of a node that is silent now it is known only to how many members it has sent the message.
    const silent = sent.filter(({ node }) => !nodes.includes(node));
    const all = [
      ...results,
      ...silent.map(({ deliveries: { sent: took, lagging } }) => ({
        confirmed: 0,
        unconfirmed: took + lagging,
      })),
    ];
    return addConfirmed(all);
  }

  async #listOf(
    node: string,
    selector: Selector,
    { after, limit }: ReturnType<typeof pageAsked>,
  ): Promise<readonly Connection[]> {
    return this.#own.list(selector, node === after.node ? after.number : 0, limit);
  }

  /** Ids of the nodes whose connections a selector can select; undefined for all. */
  #among({ nodes }: Selector, isLocal = false): readonly string[] | undefined {
    return isLocal ? [] : nodes;
  }

  /** A node that has come refuses those whom this one refuses, and closes what has slipped through meanwhile. */
  #refuseAt(node: string): void {
    for (const { selector, options } of this.#own.refused) {
      void this.#calls.ask("change", { selector, change: { kind: "close", options } }, [node]);
    }
  }
}

const nothingElsewhere: ElsewhereDelivered = Object.freeze({
  deliveries: addDeliveries([]),
  byNode: [],
  unreachable: [],
});

/** The member of a request; what is undefined is not written. */
function asked(confirm: ConfirmAsked | undefined): { readonly confirm?: ConfirmAsked } {
  return confirm === undefined ? {} : { confirm };
}

function deliveredBy({ results, nodes, unreachable }: Replies<Deliveries>): ElsewhereDelivered {
  const byNode = results.map((deliveries, place) => ({ node: nodes[place] ?? "", deliveries }));
  return { deliveries: addDeliveries(results), byNode, unreachable };
}

function unreachableOf(replies: readonly Replies<unknown>[]): readonly string[] {
  return [...new Set(replies.flatMap(({ unreachable }) => unreachable))].sort();
}

/** A connection of another node: JSON has texts in place of dates. */
function revived(connection: Connection): Connection {
  const { connectedAt, lastSeenAt, expiresAt } = connection;
  return {
    ...connection,
    connectedAt: new Date(connectedAt),
    lastSeenAt: new Date(lastSeenAt),
    expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt),
  };
}
