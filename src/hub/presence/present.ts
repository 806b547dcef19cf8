import type { Any } from "@bufbuild/protobuf/wkt";

/** A user in a room, or a connection without one, as watchers see it. It does not change. */
export interface Known {
  /** As `keyOf`. */
  readonly key: string;
  readonly connections: number;
  /** When the first of them has joined, in milliseconds since 1970. */
  readonly joinedAtMs: number;
  /** Undefined for nothing. */
  readonly info: Any | undefined;
}

/**
 * What one node says of a user in a room: of its connections at this node, 0 where it has left. It does not change.
 *
 * Most users are at one node alone: then its share is what watchers see, so that a user costs one object less.
 */
export interface Share extends Known {
  readonly node: string;
  /** Of infos the one with the greatest number counts: about milliseconds since 1970. */
  readonly infoNumber: number;
}

/** A mark that names of users do not begin with, unless it is doubled. */
const mark = "\u0000";

/** By what a user, or a connection without one, is found in a room. */
export function keyOf(user: string | undefined, connection: string): string {
  if (user === undefined) return mark + connection;
  return user.startsWith(mark) ? mark + user : user;
}

/** Whom a key is of: a user, or a connection without one. */
export function ownerOf(key: string): {
  readonly user: string | undefined;
  readonly connection: string | undefined;
} {
  if (!key.startsWith(mark)) return { user: key, connection: undefined };
  const rest = key.slice(1);
  return rest.startsWith(mark)
    ? { user: rest, connection: undefined }
    : { user: undefined, connection: rest };
}

/**
 * A user in a room: the shares of all nodes, and the connections that count for a while behind their end.
 *
 * A connection that comes takes the place of the one that has ended last, so that a page that is reloaded changes nothing.
 * One that ends is held only where watchers would see fewer than they know, and the last one always is. There are many of them: private methods would cost each a field.
 */
export class Present {
  /** What watchers know; undefined while they know nothing of it. */
  known: Known | undefined;
  /** Whether it waits for the next batch. */
  isChanged = false;
  /** The first one stands alone: most users are at one node. */
  #share: Share;
  #others: Share[] | undefined;
  /** When connections that have ended count no more, by the hub's clock; in order. */
  #held: number[] | undefined;

  /** @param share the first that is said of it */
  constructor(share: Share) {
    this.#share = share;
  }

  get key(): string {
    return this.#share.key;
  }

  /** The share of a node that has connections of it; undefined for none. */
  shareOf(node: string): Share | undefined {
    const counts = (share: Share): boolean => share.node === node && share.connections > 0;
    return counts(this.#share) ? this.#share : this.#others?.find(counts);
  }

  /** Live connections of all nodes. */
  get live(): number {
    let sum = this.#share.connections;
    if (this.#others !== undefined) for (const { connections } of this.#others) sum += connections;
    return sum;
  }

  /**
   * A node says something else.
   *
   * @param untilMs until when connections that have ended count, by the hub's clock; undefined: no longer
   * @returns how many more of these there are
   */
  set(share: Share, untilMs: number | undefined): number {
    const before = this.live;
    // One that has left is shown as it was for as long as it is held.
    const kept = share.connections === 0 ? { ...share, ...this.merged, node: share.node } : share;
    const shares = this.#others === undefined ? [this.#share] : [this.#share, ...this.#others];
    const rest = shares.filter(({ node, connections }) => node !== share.node && connections > 0);
    // Those with connections count, or the last one that had some.
    const all = kept.connections > 0 || rest.length === 0 ? [kept, ...rest] : rest;
    [this.#share = kept] = all;
    this.#others = all.length > 1 ? all.slice(1) : undefined;
    const after = this.live;
    if (after >= before) {
      this.#held?.splice(Math.max(0, this.#held.length - (after - before)));
      return 0;
    }
    if (untilMs === undefined) return 0;
    const held = (this.#held ??= []);
    const least = Math.max(1, this.known?.connections ?? 0);
    const count = Math.min(before - after, Math.max(0, least - after - held.length));
    for (let i = 0; i < count; i++) held.push(untilMs);
    return count;
  }

  /** Connections whose time is over count no more. @returns whether there were some */
  expire(nowMs: number): boolean {
    const held = this.#held;
    if (held === undefined) return false;
    const over = held.findIndex((untilMs) => untilMs > nowMs);
    const count = over === -1 ? held.length : over;
    if (count === held.length) this.#held = undefined;
    else held.splice(0, count);
    return count > 0;
  }

  /** What is to be known of it now; undefined for one that is not there. */
  now(): Known | undefined {
    const connections = this.live + (this.#held?.length ?? 0);
    if (connections === 0) return undefined;
    if (this.#others === undefined && this.#held === undefined) return this.#share;
    const { joinedAtMs, info } = this.merged;
    return { key: this.key, connections, joinedAtMs, info };
  }

  /** What the shares say together: when the first connection has joined, and the newest info. */
  get merged(): Omit<Share, "key" | "connections"> {
    let newest = this.#share;
    let { joinedAtMs } = newest;
    for (const share of this.#others ?? []) {
      joinedAtMs = Math.min(joinedAtMs, share.joinedAtMs);
      if (isNewer(share, newest)) newest = share;
    }
    const { node, info, infoNumber } = newest;
    return { node, joinedAtMs, info, infoNumber };
  }
}

/** Whether an info counts and another one does not. */
export function isNewer(
  one: Pick<Share, "infoNumber" | "node">,
  other: Pick<Share, "infoNumber" | "node">,
): boolean {
  if (one.infoNumber !== other.infoNumber) return one.infoNumber > other.infoNumber;
  return one.node > other.node;
}

/** Whether watchers see the same. */
export function isSame(one: Known, other: Known): boolean {
  return (
    one.connections === other.connections &&
    one.joinedAtMs === other.joinedAtMs &&
    isSameInfo(one.info, other.info)
  );
}

/** Whether two infos are of the same type and bytes. */
export function isSameInfo(one: Any | undefined, other: Any | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.typeUrl === other.typeUrl && Buffer.compare(one.value, other.value) === 0;
}
