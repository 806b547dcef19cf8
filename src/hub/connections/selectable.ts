import type { DoorName } from "../../core/admission/call-head.ts";
import { type Identity, tagOf } from "./identity.ts";

/** What selectors ask: a connection, or a call of one as that of its own user. */
export interface Selectable {
  readonly id: string;
  readonly user: string | undefined;
  readonly door: DoorName;
  readonly address: string;
  /** Whether it is in a room, as selectors write it. */
  isIn(room: string): boolean;
  reads(topic: string): boolean;
  tag(name: string): string | undefined;
}

/** Whether one is meant. */
export type Matches = (one: Selectable) => boolean;

/** A connection as calls of it see it that are of another user than it. */
export class OtherUser implements Selectable {
  readonly #connection: Selectable;
  readonly #identity: Identity;

  constructor(connection: Selectable, identity: Identity) {
    this.#connection = connection;
    this.#identity = identity;
  }

  get id(): string {
    return this.#connection.id;
  }

  get user(): string | undefined {
    return this.#identity.user;
  }

  get door(): DoorName {
    return this.#connection.door;
  }

  get address(): string {
    return this.#connection.address;
  }

  isIn(room: string): boolean {
    return this.#connection.isIn(room);
  }

  reads(topic: string): boolean {
    return this.#connection.reads(topic);
  }

  tag(name: string): string | undefined {
    return tagOf(this.#identity.tags, name);
  }
}
