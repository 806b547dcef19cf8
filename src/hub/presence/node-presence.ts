import { setImmediate as nextTurn } from "node:timers/promises";
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type PresenceEntry,
  PresenceChangesSchema,
  type PresenceInfo,
  PresenceInfoResultSchema,
  PresenceInfoSchema,
  PresenceListSchema,
  PresenceNumberSchema,
  PresenceWantedSchema,
} from "../../../gen/ts_ms/hub/v1/presence_pb.ts";
import { Code, ConnectError, toCallError } from "../../core/errors/errors.ts";
import { retryAfterMsOf, retryInfo } from "../../core/errors/retry-info.ts";
import type { Clock } from "../../core/time/clock.ts";
import { OrderedWork } from "../connections/turns.ts";
import type { Nodes } from "../nodes/nodes.ts";
import { OthersEntries } from "./others-entries.ts";
import { OwnEntries } from "./own-entries.ts";
import { PresenceCounts } from "./presence-counts.ts";
import { entryOf, framesOf, type Said, saidOf } from "./presence-entries.ts";

/** Who is in the rooms of one topic, as the exchange between nodes sees it. */
export interface SharedPresence {
  readonly topic: string;
  /** What a node says of a user; undefined for nothing. */
  saidBy(node: string, path: string, key: string): Said | undefined;
  /** Everything that a node says. */
  allSaidBy(node: string): Iterable<Said>;
  /** A node says something else. */
  say(said: Said): void;
  /** For a connection of this node. @throws ConnectError as `Topic.setInfo` */
  setInfoHere(connection: string, room: string, info: Any): void;
}

/** What nodes say to one another of who is in rooms. Without a topic that has presence nothing is said. */
export class NodePresence {
  readonly counts = new PresenceCounts();
  readonly #node: string;
  readonly #nodes: Nodes;
  readonly #topics = new Map<string, SharedPresence>();
  readonly #own: OwnEntries;
  readonly #others: OthersEntries;
  /** What other nodes have said, in its order. */
  readonly #heard = new OrderedWork();

  /** @param node id of this node */
  constructor(node: string, nodes: Nodes, clock: Clock) {
    this.#node = node;
    this.#nodes = nodes;
    this.#own = new OwnEntries({
      clock,
      hasOthers: () => nodes.others.length > 0,
      entryNow: (path, key, atOnce) => this.#entryNow(path, key, atOnce),
      say: (number, entries) => {
        // Others see by the number that they have missed it.
        nodes.cast(PresenceChangesSchema, { number: BigInt(number), entries: [...entries] }).catch(() => {});
      },
    });
    this.#others = new OthersEntries({
      said: (from, entries, isAll) => this.#heard.add(this.#said(from, entries, isAll)),
      ask: (from) => void nodes.cast(PresenceWantedSchema, {}, from).catch(() => {}), // The next heartbeat asks again.
    });
  }

  /** A topic has presence. */
  add(presence: SharedPresence): void {
    if (this.#topics.size === 0) this.#listen();
    this.#topics.set(presence.topic, presence);
    this.#others.forget();
  }

  /** This node says something else of a user. */
  changed(path: string, key: string, atOnce: boolean): void {
    this.#own.changed(path, key, atOnce);
  }

  /** Changes what others see of a member at another node. @throws ConnectError as the node does, UNAVAILABLE without an answer */
  async setInfo(node: string, request: Omit<PresenceInfo, "$typeName">): Promise<void> {
    const asked = await this.#nodes.ask(PresenceInfoSchema, PresenceInfoResultSchema, request, [node]);
    const [result] = asked.answers.map(({ answer }) => answer);
    if (result === undefined) throw new ConnectError(`the node ${node} does not answer`, Code.Unavailable);
    const { code, message, retryAfterMs } = result;
    if (code === 0) return;
    const error = new ConnectError(message, code);
    if (retryAfterMs > 0) error.details = [retryInfo(retryAfterMs)];
    throw error;
  }

  /** Whether a node lives that is not this one. */
  isOther(node: string): boolean {
    return this.#nodes.others.some(({ id }) => id === node);
  }

  /** This node hears of no other any more. */
  stop(): void {
    this.#own.flush();
    this.#others.clear();
  }

  #listen(): void {
    const nodes = this.#nodes;
    nodes.listen({ gone: (node) => this.#others.gone(node) });
    nodes.inHeartbeat(PresenceNumberSchema, {
      say: () => ({ number: BigInt(this.#own.number) }),
      heard: (node, { number }) => this.#hear(node, () => this.#others.heard(node, number)),
    });
    nodes.onCast(PresenceChangesSchema, (node, changes) =>
      this.#hear(node, () => this.#others.changes(node, changes)),
    );
    nodes.onCast(PresenceListSchema, (node, list) => this.#hear(node, () => this.#others.list(node, list)));
    nodes.onCast(PresenceWantedSchema, (node) => void this.#tellAll(node).catch(() => {})); // It asks again.
    nodes.onAsk(PresenceInfoSchema, PresenceInfoResultSchema, (request) => this.#setInfo(request));
  }

  /** Nothing is kept of a node of whose end nothing would be heard. */
  #hear(node: string, work: () => void): void {
    if (this.isOther(node)) work();
  }

  /** All that this node says, for one that has missed some; the event loop goes on amid it. */
  async #tellAll(to: string): Promise<void> {
    await this.#own.tell();
    const number = BigInt(this.#own.number);
    let page = 0;
    let entries: readonly PresenceEntry[] = [];
    for (const next of framesOf(this.#allEntries())) {
      if (page++ > 0) {
        await this.#cast(to, { number, page: page - 2, more: true, entries });
        await nextTurn(); // A frame is some milliseconds of work.
      }
      entries = next;
    }
    await this.#cast(to, { number, page: Math.max(0, page - 1), more: false, entries });
  }

  #cast(
    to: string,
    list: { number: bigint; page: number; more: boolean; entries: readonly PresenceEntry[] },
  ): Promise<void> {
    return this.#nodes.cast(PresenceListSchema, { ...list, entries: [...list.entries] }, to);
  }

  *#allEntries(): Generator<PresenceEntry> {
    for (const topic of this.#topics.values())
      for (const said of topic.allSaidBy(this.#node)) yield entryOf(said);
  }

  #entryNow(path: string, key: string, atOnce: boolean): PresenceEntry {
    const said = this.#topicOf(path)?.saidBy(this.#node, path, key) ?? nothingOf(this.#node, path, key);
    return entryOf({ ...said, atOnce });
  }

  /** A node says these entries, and nothing else where they are all. */
  *#said(node: string, entries: readonly PresenceEntry[], isAll: boolean): Generator<void> {
    const there = isAll ? new Set<string>() : undefined;
    for (const entry of entries) {
      const said = saidOf(node, entry);
      this.#topicOf(said.path)?.say(said);
      there?.add(`${said.path}\n${said.key}`);
      yield;
    }
    if (there === undefined) return;
    for (const topic of this.#topics.values()) {
      for (const { path, key } of topic.allSaidBy(node)) {
        if (!there.has(`${path}\n${key}`)) topic.say(nothingOf(node, path, key));
        yield;
      }
    }
  }

  #topicOf(path: string): SharedPresence | undefined {
    const end = path.indexOf("/");
    return this.#topics.get(end === -1 ? path : path.slice(0, end));
  }

  #setInfo({ connection, topic, room, info }: PresenceInfo) {
    try {
      if (info === undefined) throw new ConnectError("info: a message is expected", Code.InvalidArgument);
      const presence = this.#topics.get(topic);
      if (presence === undefined) throw new ConnectError(`there is no topic ${topic}`, Code.NotFound);
      presence.setInfoHere(connection, room, info);
      return { code: 0 };
    } catch (reason) {
      const error = toCallError(reason);
      return { code: error.code, message: error.rawMessage, retryAfterMs: retryAfterMsOf(error) ?? 0 };
    }
  }
}

/** That a node has no connections of a user. */
function nothingOf(node: string, path: string, key: string): Said {
  const share = { key, node, connections: 0, joinedAtMs: 0, info: undefined, infoNumber: 0 };
  return { path, key, share, atOnce: false };
}
