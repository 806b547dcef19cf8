import { type Live, LiveSet } from "../../core/call/live-set.ts";
import type { Clock } from "../../core/time/clock.ts";
import { turns } from "../connections/turns.ts";
import { ChangedBatch } from "./changed-batch.ts";
import { differences, type Differences } from "./differences.ts";
import type { PresenceBounds } from "./presence-bounds.ts";
import {
  eventOf,
  type Kind,
  memberOf,
  pageSize,
  type PresenceSnapshot,
  type Told,
} from "./presence-events.ts";
import { type Known, Present, type Share } from "./present.ts";
import { ToldLog } from "./told-log.ts";

/** What the rooms of a topic have in common. */
export interface PresentRoomKit {
  readonly bounds: PresenceBounds;
  readonly clock: Clock;
  /** Id of this node. */
  readonly node: string;
  /** Makes an event for watchers. */
  tell(kind: Kind, event: Told["event"]): Told;
  /** Members that watchers know have come, or have left. @param count fewer where it is negative */
  counted(count: number): void;
  /** This node says what another one has said first: others may not have heard that. */
  adopted(room: PresentRoom, key: string): void;
  /** The room is of no use any more. */
  empty(room: PresentRoom): void;
}

/** Is told that there is something new to read. */
export interface RoomWatch extends Live {
  /** Number of the first change that it has not read. */
  readonly nextChange: number;
  wake(): void;
}

/** The list of a room for those that begin to watch it, in pages that are made once. */
export interface List {
  /** Number of the first change behind it. */
  readonly next: number;
  readonly pages: number;
  page(number: number): Told;
}

/** Who is in a room on all nodes, and who is to be told of it here. */
export class PresentRoom {
  readonly name: string;
  readonly path: string;
  readonly log = new ToldLog();
  readonly #kit: PresentRoomKit;
  readonly #present = new Map<string, Present>();
  readonly #watches = new LiveSet<RoomWatch>();
  readonly #batch: ChangedBatch;
  /** Whether this batch has something for watchers. */
  #hasNews = false;
  /** Those of which connections have ended that count for a while, in the order of their times; some come twice. */
  readonly #held: { readonly present: Present; readonly untilMs: number }[] = [];
  #cancelHeld: (() => void) | undefined;
  #users = 0;
  #connections = 0;
  /** As long as it is read: its pages are larger than what they say. */
  #list: WeakRef<List> | undefined;
  #wakes = 0;

  constructor(name: string, path: string, kit: PresentRoomKit) {
    this.name = name;
    this.path = path;
    this.#kit = kit;
    const { clock, bounds } = kit;
    const look = (changed: readonly Present[], isLast: boolean): void => this.#look(changed, isLast);
    this.#batch = new ChangedBatch({ clock, batchMs: bounds.batchMs, look });
  }

  find(key: string): Present | undefined {
    return this.#present.get(key);
  }

  /** Everyone of whom something is known. */
  get all(): Iterable<Present> {
    return this.#present.values();
  }

  /** Whether only counts are told. */
  get isCrowded(): boolean {
    return this.#users > this.#kit.bounds.maxMembers;
  }

  get isEmpty(): boolean {
    return this.#present.size === 0 && this.#watches.size === 0;
  }

  /** A node says something of a user. @param atOnce whether connections that have ended are not waited for */
  set(key: string, share: Share, atOnce: boolean): void {
    let present = this.#present.get(key);
    if (present === undefined) {
      if (share.connections === 0) return;
      present = new Present({ ...share, connections: 0 });
      this.#present.set(key, present);
    }
    const { clock, bounds } = this.#kit;
    const untilMs = clock.nowMs() + bounds.leaveDelayMs;
    const held = present.set(share, atOnce || bounds.leaveDelayMs === 0 ? undefined : untilMs);
    if (held > 0) this.#hold(present, untilMs);
    this.#adopt(present);
    this.#batch.add(present);
  }

  add(watch: RoomWatch): void {
    this.#watches.add(watch);
  }

  delete(watch: RoomWatch): void {
    this.#watches.delete(watch);
    this.#end();
  }

  /** As watchers know it. */
  snapshot(): PresenceSnapshot {
    const members = this.isCrowded ? [] : this.#known().map(memberOf);
    return { members, users: this.#users, connections: this.#connections };
  }

  /** The list as watchers know it. */
  list(): List {
    const known = this.#list?.deref();
    if (known !== undefined) return known;
    const made = this.#made();
    this.#list = new WeakRef(made);
    return made;
  }

  /** Nothing of it is told any more. */
  close(): void {
    this.#batch.close();
    this.#cancelHeld?.();
    this.#kit.counted(-this.#users);
  }

  /** What other nodes know of a user who is here too counts here as well. */
  #adopt(present: Present): void {
    const { node } = this.#kit;
    const own = present.shareOf(node);
    if (own === undefined) return;
    const { joinedAtMs, info, infoNumber } = present.merged;
    if (joinedAtMs === own.joinedAtMs && infoNumber === own.infoNumber) return;
    present.set({ ...own, joinedAtMs, info, infoNumber }, undefined);
    this.#kit.adopted(this, present.key);
  }

  #hold(present: Present, untilMs: number): void {
    this.#held.push({ present, untilMs });
    if (this.#cancelHeld === undefined) this.#waitHeld(untilMs);
  }

  #waitHeld(untilMs: number): void {
    const { clock } = this.#kit;
    const delayMs = Math.max(0, untilMs - clock.nowMs());
    this.#cancelHeld = clock.after(delayMs, () => this.#expire(), false);
  }

  #expire(): void {
    const nowMs = this.#kit.clock.nowMs();
    const over = this.#held.findIndex(({ untilMs }) => untilMs > nowMs);
    const due = this.#held.splice(0, over === -1 ? this.#held.length : over);
    for (const { present } of due) if (present.expire(nowMs)) this.#batch.add(present);
    this.#cancelHeld = undefined;
    const [next] = this.#held;
    if (next !== undefined) this.#waitHeld(next.untilMs);
  }

  /** A part of a batch is looked at: what has changed is in the log and the counts from now on. Watchers wake behind its last. */
  #look(changed: readonly Present[], isLast: boolean): void {
    const wasCrowded = this.isCrowded;
    const found = differences(changed);
    for (const { key } of found.gone) this.#present.delete(key);
    this.#users += found.joined.length - found.left.length;
    this.#connections += found.connections;
    this.#kit.counted(found.joined.length - found.left.length);
    if (found.left.length + found.joined.length + found.updated.length > 0) {
      this.#list = undefined;
      this.#hasNews = true;
      this.#log(found, wasCrowded);
    }
    if (!isLast) return;
    if (this.#hasNews) this.#tell();
    this.#end();
  }

  /** The counts of a crowd are told once, at the end of the batch. */
  #log(found: Differences, wasCrowded: boolean): void {
    if (this.#watches.size === 0) this.log.clear();
    else if (wasCrowded && !this.isCrowded) this.log.addWhole(undefined);
    else if (!this.isCrowded) {
      const { left, joined, updated } = found;
      const kinds = [["LEAVE", left] as const, ["JOIN", joined] as const, ["UPDATE", updated] as const];
      this.log.add(
        kinds.flatMap(([kind, members]) => pagesOf(members).map((page) => this.#event(kind, page))),
      );
    }
  }

  #tell(): void {
    this.#hasNews = false;
    if (this.isCrowded && this.#watches.size > 0) this.log.addWhole(this.#event("UPDATE", []));
    this.#wake();
  }

  #event(kind: Kind, members: readonly Known[], more = false): Told {
    const room = this.name;
    const counts = { users: this.#users, connections: this.#connections };
    return this.#kit.tell(kind, eventOf(kind, members, { room, more, ...counts }));
  }

  #made(): List {
    const pages = this.isCrowded ? [] : pagesOf(this.#known());
    const count = Math.max(1, pages.length);
    const counts = { users: this.#users, connections: this.#connections };
    const made: (Told | undefined)[] = [];
    return {
      next: this.log.next,
      pages: count,
      page: (number) => {
        const more = number < count - 1;
        const { name: room } = this;
        return (made[number] ??= this.#kit.tell(
          "SYNC",
          eventOf("SYNC", pages[number] ?? [], { room, more, ...counts }),
        ));
      },
    };
  }

  #known(): readonly Known[] {
    const known: Known[] = [];
    for (const present of this.#present.values()) if (present.known !== undefined) known.push(present.known);
    return known;
  }

  /** Wakes the watchers, some milliseconds of each turn of the event loop. */
  #wake(): void {
    if (this.#wakes++ === 0) void this.#wakeAll();
  }

  async #wakeAll(): Promise<void> {
    while (this.#wakes > 0) {
      this.#wakes = 1;
      let oldest = this.log.next;
      await turns(this.#watches, (watch) => {
        watch.wake();
        oldest = Math.min(oldest, watch.nextChange);
      });
      this.log.read(oldest);
      this.#wakes--;
    }
  }

  #end(): void {
    if (this.isEmpty && this.#batch.isEmpty) this.#kit.empty(this);
  }
}

function pagesOf(members: readonly Known[]): readonly (readonly Known[])[] {
  const count = Math.ceil(members.length / pageSize);
  return Array.from({ length: count }, (_, place) => members.slice(place * pageSize, (place + 1) * pageSize));
}
