import type { DescMethod } from "@bufbuild/protobuf";
import type { DoorName } from "../../core/admission/call-head.ts";
import type { BookedConnection, RenewedCall } from "../../core/call/booked-connection.ts";
import { CallContext, type EndListener, type HandlerContext } from "../../core/call/context.ts";
import { rpcName } from "../../core/call/service.ts";
import { Code, type ConnectError } from "../../core/errors/errors.ts";
import type { CloseReason, Connection } from "./connection.ts";
import { type Identity, tagOf } from "./identity.ts";
import { type Matches, OtherUser, type Selectable } from "./selectable.ts";

/** What is known of a connection when it opens. */
export interface EntryInit {
  readonly node: string;
  /** Greater than that of every connection before. */
  readonly number: number;
  /** The server that has it. */
  readonly server: object;
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
  readonly waitingBytes: () => number;
  readonly close: (error: ConnectError) => void;
}

/** Is told what becomes of entries. */
export interface EntryOwner {
  /** Milliseconds since 1970. */
  wallMs(): number;
  /** Milliseconds since an arbitrary moment. */
  nowMs(): number;
  callEnded(entry: Entry, call: CallContext): void;
  /** @throws ConnectError as `BookedConnection.renew` */
  renew(entry: Entry, calls: readonly RenewedCall[]): Promise<void>;
  /** Its client has handled a message. @param token as `BookedConnection.confirmed` */
  confirmed(entry: Entry, token: string): void;
  /** The entry is over; called once. */
  left(entry: Entry, reason: CloseReason): void;
}

/** A call of a connection that reads rooms. */
export interface EntryReader {
  readonly context: CallContext;
  /** Whether the hub was asked to close it. */
  isClosed: boolean;
  /** As selectors write them. */
  readonly rooms: readonly string[];
  /** How many they are. */
  readonly size: number;
  /** Gives it what there is to read now. */
  wake(): void;
  isIn(room: string): boolean;
  reads(topic: string): boolean;
  /** What its joins were granted. */
  readonly tags: Readonly<Record<string, string>> | undefined;
  /** When the oldest message was published that it has still to read, by the hub's clock; undefined for none. */
  readonly behindSinceMs: number | undefined;
  /** Bytes of messages for it alone that wait. */
  readonly waitingBytes: number;
}

const maxUserAgent = 256;
const noTags = Object.freeze({});
const anonymous: Identity = Object.freeze({});

/** A live connection: one streaming call, or a WebSocket with its calls. It goes exactly once. */
export class Entry implements BookedConnection, EndListener, Selectable {
  readonly number: number;
  readonly node: string;
  readonly server: object;
  readonly door: DoorName;
  readonly address: string;
  readonly userAgent: string;
  readonly connectedAtMs: number;
  /** Why the hub closes it; undefined where it does not. */
  closing: CloseReason | undefined;
  /** When it may have joined as many rooms as at once again: the state of its token bucket, in milliseconds. */
  joinsFullAtMs = 0;
  /** What the client calls itself; empty where it does not say. */
  client = "";
  /** Whether it can say that it has handled a message. */
  confirms = false;
  /** Messages that it did not get. */
  dropped = 0;
  readonly #owner: EntryOwner;
  readonly #method: DescMethod | undefined;
  readonly #socket: EntrySocket | undefined;
  #identity: Identity | undefined;
  #readers: EntryReader[] = [];
  #lastSeenMs: number;
  #calls: CallContext[] = [];
  /** Whom each call is of. */
  #identities: Identity[] = [];
  /** Of calls that have ended. */
  #sentBefore = 0;
  #receivedBefore = 0;
  #bytesBefore = 0;
  #lastReason: ConnectError | undefined;
  #isOver = false;

  constructor(
    { number, node, server, door, method, address, userAgent, socket }: EntryInit,
    owner: EntryOwner,
  ) {
    this.number = number;
    this.node = node;
    this.server = server;
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

  /** Whose it is: the user of its first call that has one. */
  get user(): string | undefined {
    return this.#identity?.user;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** How often its calls are in rooms. */
  get memberships(): number {
    return this.#readers.reduce((sum, { size }) => sum + size, 0);
  }

  /** The rooms that it is in. */
  get rooms(): readonly string[] {
    return [...new Set(this.#readers.flatMap(({ rooms }) => rooms))];
  }

  /** The topics of its rooms. */
  get topics(): readonly string[] {
    return [...new Set(this.rooms.map((room) => room.split("/", 1)[0] ?? ""))];
  }

  isIn(room: string): boolean {
    return this.#readers.some((reader) => reader.isIn(room));
  }

  reads(topic: string): boolean {
    return this.#readers.some((reader) => reader.reads(topic));
  }

  /** Of its identity, or granted to one of its calls. */
  tag(name: string): string | undefined {
    for (const { tags } of this.#readers) {
      const granted = tagOf(tags, name);
      if (granted !== undefined) return granted;
    }
    return tagOf(this.#identity?.tags, name);
  }

  /** Its calls that read rooms. */
  get readers(): readonly EntryReader[] {
    return this.#readers;
  }

  /** A call of it reads rooms. */
  joined(reader: EntryReader): void {
    if (this.#readers.length === 0) this.#readers = [reader];
    else this.#readers.push(reader);
  }

  leftBy(reader: EntryReader): void {
    this.#readers = this.#readers.filter((other) => other !== reader);
  }

  /** Whose it is is known. */
  identified(identity: Identity): void {
    this.#identity = identity;
  }

  /** Whom a call of it is of. */
  identityOf(call: CallContext): Identity {
    return this.#identities[this.#calls.indexOf(call)] ?? this.#identity ?? anonymous;
  }

  /** Another identity of a call under way: the same user, with other tags or for longer. */
  identifiedAgain(call: CallContext, identity: Identity): void {
    const place = this.#calls.indexOf(call);
    if (place === -1) return;
    this.#identities[place] = identity;
    if (this.#identity === undefined || identity.user === this.user) this.#identity = identity;
  }

  /** A call of it begins. */
  add(call: CallContext, identity: Identity): void {
    if (this.#calls.length === 0) {
      // As long as they are: an empty array that grows has room for many.
      this.#calls = [call];
      this.#identities = [identity];
    } else {
      this.#calls.push(call);
      this.#identities.push(identity);
    }
    call.onEnd(this);
  }

  ended(call: CallContext): void {
    const place = this.#calls.indexOf(call);
    if (place === -1) return; // The connection is over.
    this.#calls.splice(place, 1);
    this.#identities.splice(place, 1);
    this.#sentBefore += call.sent;
    this.#receivedBefore += call.received;
    this.#bytesBefore += bytesOf(call);
    this.#lastReason = call.reason;
    this.#owner.callEnded(this, call);
    if (this.#socket === undefined) this.closed();
  }

  greeted(client: string): void {
    this.confirms = true;
    this.client = client;
  }

  confirmed(call: HandlerContext, token: string): boolean {
    if (!this.#readers.some(({ context }) => context === call)) return false;
    this.#owner.confirmed(this, token);
    return true;
  }

  endsAtMs(call: HandlerContext): number | undefined {
    return call instanceof CallContext ? this.identityOf(call).expiresAtMs : undefined;
  }

  renew(calls: readonly RenewedCall[]): Promise<void> {
    return this.#owner.renew(this, calls);
  }

  /** What was sent: of answers over HTTP, of messages over gRPC, of the whole connection of a WebSocket. */
  get bytes(): number {
    return (
      this.#socket?.sentBytes() ?? this.#calls.reduce((sum, call) => sum + bytesOf(call), this.#bytesBefore)
    );
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
    this.#identities = [];
  }

  /** Ends the connection as its door ends a failed call. @returns false where it is ended already */
  close(error: ConnectError, why: CloseReason): boolean {
    if (this.#isOver || this.closing !== undefined) return false;
    this.closing = why;
    for (const reader of this.#readers) reader.wake(); // What was published before in this turn comes first.
    if (this.#socket === undefined) for (const call of [...this.#calls]) call.abort(error);
    else this.#socket.close(error);
    return true;
  }

  /** Ends its calls that read rooms. */
  endReaders(error: ConnectError): void {
    for (const { context } of [...this.#readers]) context.abort(error);
  }

  /**
   * What a selector selects of it: all of it, or calls of a WebSocket that are of other users than it; none where it is
   * not selected.
   */
  selected(matches: Matches): "all" | readonly CallContext[] {
    if (matches(this)) return "all";
    return this.#socket === undefined ? [] : this.#calls.filter((call) => this.#isOfOther(call, matches));
  }

  /** Whether a selector selects it, or one of its calls. */
  isSelected(matches: Matches): boolean {
    return (
      matches(this) ||
      (this.#socket !== undefined && this.#calls.some((call) => this.#isOfOther(call, matches)))
    );
  }

  /** Ends calls whose identity has ended. @returns when the next one does, in milliseconds since 1970; Infinity for never */
  endExpired(nowMs: number, error: () => ConnectError): number {
    let nextMs = Number.POSITIVE_INFINITY;
    const expired: CallContext[] = [];
    for (const [place, { expiresAtMs = Number.POSITIVE_INFINITY }] of this.#identities.entries()) {
      const call = this.#calls[place];
      if (expiresAtMs > nowMs) nextMs = Math.min(nextMs, expiresAtMs);
      else if (call !== undefined) expired.push(call);
    }
    for (const call of expired) call.abort(error());
    return nextMs;
  }

  /** Messages of calls under way. */
  get openMessages(): number {
    return this.#calls.reduce((sum, { sent, received }) => sum + sent + received, 0);
  }

  /** Calls under way. */
  get openCalls(): readonly CallContext[] {
    return [...this.#calls];
  }

  /** The connection as it is now. */
  describe(): Connection {
    const { id, node, door, user, address, userAgent, client, dropped } = this;
    const { tags = noTags, expiresAtMs } = this.#identity ?? {};
    const granted = this.#readers.map((reader) => reader.tags).filter((one) => one !== undefined);
    return {
      id,
      node,
      door,
      rpc: this.#method && rpcName(this.#method),
      user,
      tags:
        granted.length === 0 ? tags : Object.fromEntries([tags, ...granted].flatMap(Object.entries<string>)),
      address,
      userAgent,
      client,
      connectedAt: new Date(this.connectedAtMs),
      lastSeenAt: new Date(this.#lastSeenMs),
      rooms: this.rooms,
      sent: this.#calls.reduce((sum, { sent }) => sum + sent, this.#sentBefore),
      received: this.#calls.reduce((sum, { received }) => sum + received, this.#receivedBefore),
      dropped,
      lagMs: this.#lagMs(),
      waitingBytes: this.#readers.reduce(
        (sum, { waitingBytes }) => sum + waitingBytes,
        this.#socket?.waitingBytes() ?? 0,
      ),
      bytes: this.bytes,
      expiresAt: expiresAtMs === undefined ? undefined : new Date(expiresAtMs),
    };
  }

  #isOfOther(call: CallContext, matches: Matches): boolean {
    const identity = this.identityOf(call);
    return identity.user !== this.user && matches(new OtherUser(this, identity));
  }

  #lagMs(): number {
    const nowMs = this.#owner.nowMs();
    return this.#readers.reduce(
      (most, { behindSinceMs = nowMs }) => Math.max(most, nowMs - behindSinceMs),
      0,
    );
  }
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
