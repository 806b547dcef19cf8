import type { Clock } from "../../core/time/clock.ts";
import type { Position } from "../room/position.ts";
import type { Publication, RoomEntry } from "../room/publication.ts";

/** What is kept of a room; each field bounds it. */
export interface HistoryBounds {
  /** Publications. */
  readonly size: number;
  /** How long each is kept, in milliseconds. */
  readonly ttlMs: number;
  /** Bytes of messages. */
  readonly bytes: number;
}

/** How a topic with history is kept. */
export interface TopicKeeping {
  readonly history: HistoryBounds;
  /** How long ids of its publications are known, in milliseconds. */
  readonly dedupeMs: number;
}

/** A publication for a bus. */
export interface BusPublication {
  /** Path of the room: `topic/room`. */
  readonly room: string;
  readonly publication: Publication;
  /** What is kept of the room, this publication too; undefined for one that gets no position. */
  readonly history: HistoryBounds | undefined;
  /** How long its id is known, in milliseconds; 0 for an id that is not published again. */
  readonly dedupeMs: number;
  /** `dedupeMs` of a bus whose answer may be lost: then the publisher learns the id, and may use it again. Default: the same. */
  readonly unsureMs?: number;
}

/** What a bus answers to a publication. */
export interface BusReceipt {
  /** Undefined for one that is not kept. */
  readonly position: Position | undefined;
  /** Whether its id was known: nothing was told again, and the position is that of the first one. */
  readonly duplicate: boolean;
}

/** A room with the last position that a node has seen there. */
export interface RoomSeen {
  readonly room: string;
  /** Undefined for none. */
  readonly seen: Position | undefined;
}

/** Publications that a bus has kept. */
export interface BusPage {
  /** In their order. */
  readonly entries: readonly RoomEntry[];
  /** The last position of the room. */
  readonly top: Position;
  /** Whether nothing is missing between the position that was asked for and the first entry. */
  readonly complete: boolean;
}

/** A publication that was read. */
export interface ReadPublication {
  readonly publication: Publication;
  /** When it is delivered no more, by the clock of this process; undefined for never. */
  readonly untilMs: number | undefined;
  /** Id of the node that has published it. */
  readonly node: string;
  /** Which one of that node it is. */
  readonly number: number;
}

/** The form in which publications leave the process. */
export interface PublicationForm {
  /** @param number counts those of this node, which so finds its own ones again */
  write(topic: string, publication: Publication, number: number): Uint8Array<ArrayBuffer>;
  /** Undefined for what cannot be read: it is broken, or of a topic that this hub does not have. */
  read(topic: string, bytes: Uint8Array): ReadPublication | undefined;
}

/** What is measured of a bus. */
export type BusOperation =
  | "publish"
  | "read"
  | "tops"
  | "subscribe"
  | "cast"
  | "cursor"
  | "clear"
  | "connect"
  | "frame";

/** A hub as its bus sees it. */
export interface BusNode {
  /** Hubs of other names never meet. */
  readonly name: string;
  readonly id: string;
  readonly clock: Clock;
  /** For how long nothing comes by a connection until it is asked whether it lives, in milliseconds. Default: 5,000. */
  readonly probeMs?: number;
  /** How often it is looked for publications that have not come, in milliseconds. Default: 10,000. */
  readonly checkMs?: number;
  readonly form: PublicationForm;
  /**
   * Something was published in a room that the node has subscribed to.
   *
   * @param previous offset of the publication before it in the room. Default: one less
   */
  published(room: string, entry: RoomEntry, previous?: number): void;
  /** Publications of a room were missing, and were read or are lost. */
  gap?(room: string, outcome: "filled" | "lost"): void;
  /** Something was done at the bus. @param ms how long it has taken; undefined where it has failed */
  did?(operation: BusOperation, ms: number | undefined): void;
  /** A room has begun anew: what was kept is no more. @param top its position now */
  begun(room: string, top: Position, why: "BUS" | "CLEARED"): void;
  /** A frame of another node, or of this one. */
  frame(bytes: Uint8Array): void;
  /** The bus can be used, or not any more. A bus that never says so can be used from its start on. */
  busIs(isUp: boolean): void;
}

/**
 * What joins nodes. Every function rejects with UNAVAILABLE where the bus cannot be reached: nothing has happened then.
 */
export interface Bus {
  readonly name: string;
  /** The largest message that it takes, in bytes. */
  readonly maxMessageBytes: number;
  /** Whether there may be other nodes: without, nodes have nothing to say. */
  readonly isShared: boolean;
  /** Whether `publish` does not look at its signal, which costs a publication something. Default: false. */
  readonly ignoresSignal?: boolean;
  /** Called once, by its hub. */
  start(node: BusNode): Promise<void>;
  close(): Promise<void>;
  /** The hub has a topic with history. A bus that does not keep it by topic has no use for this. */
  keep?(topic: string, keeping: TopicKeeping): void;
  /**
   * Numbers a publication, keeps it, and tells the nodes that have subscribed to its room, as one atomic step; those of
   * one node in the order of its calls. Resolves when this is done.
   *
   * @param signal aborted when the answer is of no interest any more
   */
  publish(publication: BusPublication, signal: AbortSignal): Promise<BusReceipt>;
  /** Resolves when everything that is published in these rooms from now on is told. */
  subscribe(rooms: readonly string[]): Promise<void>;
  unsubscribe(rooms: readonly string[]): Promise<void>;
  /**
   * What was kept of a room behind a position, or from the oldest on; nothing, and not complete, where the position is of
   * another epoch.
   *
   * @param limit the most entries
   */
  read(room: string, after: Position | undefined, limit: number): Promise<BusPage>;
  /** The last positions of rooms. Where there is less than was seen, the room begins a new epoch. */
  tops(rooms: readonly RoomSeen[]): Promise<readonly Position[]>;
  /** Passes a frame to the node of an id, or to `all` of them, this one too. */
  cast(node: string, frame: Uint8Array): Promise<void>;
  /** Keeps a position by a key, or gives the one that is kept. @param ttlMs how long it is kept, in milliseconds. Default: for ever */
  cursor(key: string, set?: Position, ttlMs?: number): Promise<Position | undefined>;
  /** Forgets what was kept of a room, which begins a new epoch. */
  clear(room: string): Promise<void>;
}
