import { type Live, LiveSet } from "../../core/call/live-set.ts";
import { type Deliveries, noDeliveries, type Offered, type Publication } from "./publication.ts";
import { Ring } from "./ring.ts";

/** A member's place in a room, as the room sees it. */
export interface RoomPlace extends Live {
  /** The room has a publication, which its ring has already. */
  offer(publication: Publication): Offered;
}

/** A room of a topic in this process: its members, and what they still have to read. */
export class Room {
  readonly topic: string;
  readonly name: string;
  readonly ring: Ring;
  readonly #members = new LiveSet<RoomPlace>();

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

  add(place: RoomPlace): void {
    this.#members.add(place);
  }

  delete(place: RoomPlace): void {
    this.#members.delete(place);
  }

  /** Gives a publication to all members: at once to those that wait for it, later to those that are behind. */
  deliver(publication: Publication): Deliveries {
    const deliveries = noDeliveries();
    this.ring.add(publication);
    for (const place of this.#members) {
      deliveries.members++;
      deliveries[place.offer(publication)]++;
    }
    return deliveries;
  }
}

export function pathOf(topic: string, room: string): string {
  return room === "" ? topic : `${topic}/${room}`;
}
