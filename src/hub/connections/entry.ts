import type { DescMethod } from "@bufbuild/protobuf";
import type { DoorName } from "../../core/admission/call-head.ts";
import type { BookedConnection } from "../../core/call/booked-connection.ts";
import type { CallContext, EndListener } from "../../core/call/context.ts";
import { rpcName } from "../../core/call/service.ts";
import { Code, type ConnectError } from "../../core/errors/errors.ts";
import type { Identity } from "./identity.ts";

/** A live connection as it is listed. */
export interface Connection {
  /** `NODE-NUMBER`. */
  readonly id: string;
  /** Id of the process that has it. */
  readonly node: string;
  /** The protocol by which it entered. */
  readonly door: DoorName;
  /** `package.Service/Method`; undefined for a WebSocket that carries calls of several rpcs. */
  readonly rpc: string | undefined;
  /** Undefined for an anonymous client. */
  readonly user: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
  /** Address of the client; empty where it has none. */
  readonly address: string;
  /** What the client calls itself, at most 256 characters; empty where it does not say. */
  readonly userAgent: string;
  readonly connectedAt: Date;
  /** When bytes of the client, or its answer to a ping of WebSocket, came last. */
  readonly lastSeenAt: Date;
  /** The rooms that it is in: `topic/room`, or `topic` for that without a name. */
  readonly rooms: readonly string[];
  /** Messages that were handed to the connection. */
  readonly sent: number;
  /** Messages that came. */
  readonly received: number;
  /** Bytes that were sent: of answers, of messages with their framing over gRPC, of the connection of a WebSocket. */
  readonly bytes: number;
  /** When the identity ends; undefined for never. */
  readonly expiresAt: Date | undefined;
}

/** Why a connection is no more, as the metric `ts_ms_hub_closed_total` labels it. */
export type CloseReason = "ended" | "left" | "failed" | "closed" | "user_limit";

/** What is known of a connection when it opens. */
export interface EntryInit {
  readonly node: string;
  /** Greater than that of every connection before. */
  readonly number: number;
  readonly door: DoorName;
  readonly method: DescMethod | undefined;
  readonly address: string;
  readonly userAgent: string;
  /** What a WebSocket is read and closed by; undefined for a connection that is one call. */
  readonly socket: EntrySocket | undefined;
}

/** A WebSocket, as its entry sees it. */
export interface EntrySocket {
  readonly sentBytes: () => number;
  readonly close: (error: ConnectError) => void;
}

/** Is told what becomes of entries. */
export interface EntryOwner {
  /** Milliseconds since 1970. */
  wallMs(): number;
  callEnded(entry: Entry, call: CallContext): void;
  /** The entry is over; called once. */
  left(entry: Entry, reason: CloseReason): void;
}

const maxUserAgent = 256;
const noTags = Object.freeze({});
const anonymous: Identity = Object.freeze({});

/** A live connection: one streaming call, or a WebSocket with its calls. It goes exactly once. */
export class Entry implements BookedConnection, EndListener {
  readonly number: number;
  readonly node: string;
  readonly door: DoorName;
  readonly address: string;
  readonly userAgent: string;
  readonly connectedAtMs: number;
  /** Why the hub closes it; undefined where it does not. */
  closing: CloseReason | undefined;
  readonly #owner: EntryOwner;
  readonly #method: DescMethod | undefined;
  readonly #socket: EntrySocket | undefined;
  /** When it may have joined as many rooms as at once again: the state of its token bucket, in milliseconds. */
  joinsFullAtMs = 0;
  #identity: Identity | undefined;
  /** The rooms of its calls, one for each membership. */
  readonly #rooms: string[] = [];
  #lastSeenMs: number;
  #calls: CallContext[] = [];
  /** Of calls that have ended. */
  #sentBefore = 0;
  #receivedBefore = 0;
  #bytesBefore = 0;
  #lastReason: ConnectError | undefined;
  #isOver = false;

  constructor({ number, node, door, method, address, userAgent, socket }: EntryInit, owner: EntryOwner) {
    this.number = number;
    this.node = node;
    this.door = door;
    this.address = address;
    this.userAgent = userAgent.slice(0, maxUserAgent);
    this.#owner = owner;
    this.#method = method;
    this.#socket = socket;
    this.connectedAtMs = this.#lastSeenMs = owner.wallMs();
  }

  get id(): string {
    return `${this.node}-${this.number}`;
  }

  get user(): string | undefined {
    return this.#identity?.user;
  }

  get identity(): Identity {
    return this.#identity ?? anonymous;
  }

  /** How often its calls are in rooms. */
  get memberships(): number {
    return this.#rooms.length;
  }

  /** The rooms that it is in. */
  get rooms(): readonly string[] {
    return [...new Set(this.#rooms)];
  }

  /** The topics of its rooms. */
  get topics(): readonly string[] {
    return [...new Set(this.#rooms.map(topicOf))];
  }

  isIn(room: string): boolean {
    return this.#rooms.includes(room);
  }

  reads(topic: string): boolean {
    return this.#rooms.some((room) => topicOf(room) === topic);
  }

  /** A call of it is in a room. */
  joined(room: string): void {
    this.#rooms.push(room);
  }

  /** A call of it has left a room. */
  leftRoom(room: string): void {
    const place = this.#rooms.indexOf(room);
    if (place >= 0) this.#rooms.splice(place, 1);
  }

  /** Whether its identity is known, that of an anonymous client too. */
  get isIdentified(): boolean {
    return this.#identity !== undefined;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  tag(name: string): string | undefined {
    const tags = this.#identity?.tags;
    return tags !== undefined && Object.hasOwn(tags, name) ? tags[name] : undefined;
  }

  /** Whom it belongs to is known: by its first call. */
  identified(identity: Identity): void {
    this.#identity = identity;
  }

  /** A call of it begins. */
  add(call: CallContext): void {
    this.#calls.push(call);
    call.onEnd(this);
  }

  ended(call: CallContext): void {
    const place = this.#calls.indexOf(call);
    if (place === -1) return; // The connection is over.
    this.#calls.splice(place, 1);
    this.#sentBefore += call.sent;
    this.#receivedBefore += call.received;
    this.#bytesBefore += bytesOf(call);
    this.#lastReason = call.reason;
    this.#owner.callEnded(this, call);
    if (this.#socket === undefined) this.closed();
  }

  seen(): void {
    this.#lastSeenMs = this.#owner.wallMs();
  }

  closed(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const call of this.#calls) this.#owner.callEnded(this, call);
    this.#owner.left(this, this.closing ?? reasonOf(this.#lastReason));
    // What has left may be kept for a while by the lists that it was in.
    this.#calls = [];
  }

  /** Ends the connection as its door ends a failed call. @returns false where it is ended already */
  close(error: ConnectError, why: CloseReason): boolean {
    if (this.#isOver || this.closing !== undefined) return false;
    this.closing = why;
    if (this.#socket === undefined) for (const call of [...this.#calls]) call.abort(error);
    else this.#socket.close(error);
    return true;
  }

  /** Messages of calls under way. */
  get openMessages(): number {
    return this.#calls.reduce((sum, { sent, received }) => sum + sent + received, 0);
  }

  /** Calls under way. */
  get openCalls(): number {
    return this.#calls.length;
  }

  /** The connection as it is now. */
  describe(): Connection {
    const { id, node, door, user, address, userAgent } = this;
    const { tags = noTags, expiresAtMs } = this.#identity ?? {};
    return {
      id,
      node,
      door,
      rpc: this.#method && rpcName(this.#method),
      user,
      tags,
      address,
      userAgent,
      connectedAt: new Date(this.connectedAtMs),
      lastSeenAt: new Date(this.#lastSeenMs),
      rooms: this.rooms,
      sent: this.#calls.reduce((sum, { sent }) => sum + sent, this.#sentBefore),
      received: this.#calls.reduce((sum, { received }) => sum + received, this.#receivedBefore),
      bytes:
        this.#socket?.sentBytes() ??
        this.#calls.reduce((sum, call) => sum + bytesOf(call), this.#bytesBefore),
      expiresAt: expiresAtMs === undefined ? undefined : new Date(expiresAtMs),
    };
  }
}

/** The topic of a room as selectors write it. */
function topicOf(room: string): string {
  const end = room.indexOf("/");
  return end === -1 ? room : room.slice(0, end);
}

/** Over HTTP the bytes of the answer are counted, over gRPC those of messages. */
function bytesOf({ edge, sentBytes }: CallContext): number {
  return edge?.head.record?.bytesOut ?? sentBytes;
}

/** @param reason with which the last call was aborted; undefined for none */
function reasonOf(reason: ConnectError | undefined): CloseReason {
  if (reason === undefined) return "ended";
  return reason.code === Code.Canceled ? "left" : "failed";
}
