import { Code, type ConnectError } from "../core/errors/errors.ts";
import { refusal } from "../core/admission/refusal.ts";
import { Room } from "./room/room.ts";

/** The rooms of a hub that have members. */
export class Rooms {
  readonly #rooms = new Map<string, Map<string, Room>>();
  readonly #maxRooms: number;
  #size = 0;

  constructor(maxRooms: number) {
    this.#maxRooms = maxRooms;
  }

  get size(): number {
    return this.#size;
  }

  find(topic: string, name: string): Room | undefined {
    return this.#rooms.get(topic)?.get(name);
  }

  /** The room of a name, made if there is none. @throws ConnectError RESOURCE_EXHAUSTED where there are too many */
  open(topic: string, name: string, ringSize: number): Room {
    const known = this.find(topic, name);
    if (known !== undefined) return known;
    if (this.#size >= this.#maxRooms) throw tooManyRooms("there are too many rooms");
    const room = new Room(topic, name, ringSize);
    const ofTopic = this.#rooms.get(topic) ?? new Map<string, Room>();
    this.#rooms.set(topic, ofTopic.set(name, room));
    this.#size++;
    return room;
  }

  /** Forgets a room without members. */
  closeEmpty(room: Room): void {
    const { topic, name } = room;
    if (room.size > 0 || this.find(topic, name) !== room) return;
    this.#rooms.get(topic)?.delete(name);
    this.#size--;
  }

  /** The rooms of a topic. */
  of(topic: string): Iterable<Room> {
    return this.#rooms.get(topic)?.values() ?? [];
  }
}

/** RESOURCE_EXHAUSTED for a join. */
export function tooManyRooms(message: string): ConnectError {
  return refusal({ kind: "rate_limited", code: Code.ResourceExhausted, reason: "ROOM_LIMIT", message });
}
