import { LiveSet } from "../../core/call/live-set.ts";
import type { Member, Membership } from "./member.ts";
import { type Deliveries, noDeliveries, type Publication } from "./publication.ts";
import { Ring } from "./ring.ts";

/** A room of a topic in this process: its members, and what they still have to read. */
export class Room {
  readonly topic: string;
  readonly name: string;
  readonly ring: Ring;
  readonly #members = new LiveSet<Membership>();

  constructor(topic: string, name: string, ringSize: number) {
    this.topic = topic;
    this.name = name;
    this.ring = new Ring(ringSize);
  }

  /** As selectors write it: `topic/room`, or `topic` where the room has no name. */
  get path(): string {
    return pathOf(this.topic, this.name);
  }

  get size(): number {
    return this.#members.size;
  }

  add(membership: Membership): void {
    this.#members.add(membership);
  }

  delete(membership: Membership): void {
    this.#members.delete(membership);
  }

  /** Gives a publication to all members: at once to those that wait for it, later to those that are behind. */
  deliver(publication: Publication): Deliveries {
    const deliveries = noDeliveries();
    this.ring.add(publication);
    for (const membership of this.#members) {
      deliveries.members++;
      deliveries[membership.offer(publication)]++;
    }
    return deliveries;
  }

  /** The calls that are members. */
  *members(): Generator<Member> {
    for (const { member } of this.#members) yield member;
  }
}

export function pathOf(topic: string, room: string): string {
  return room === "" ? topic : `${topic}/${room}`;
}
