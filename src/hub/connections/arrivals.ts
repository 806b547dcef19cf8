import type { HandlerContext } from "@connectrpc/connect";
import type { CallHead, DoorName } from "../../core/admission/call-head.ts";
import type { LiveTimes, ServerBook, SocketOpening } from "../../core/admission/connection-book.ts";
import type { Gate } from "../../core/admission/gate.ts";
import { CallContext } from "../../core/call/context.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import { unavailableFor } from "../../core/errors/retry-info.ts";
import { retryMs } from "./close.ts";
import { Entry, type EntryInit, type EntryOwner } from "./entry.ts";
import { checkedIdentity, type Identity } from "./identity.ts";
import type { Limits, RefuseReason } from "./limits.ts";
import type { ConnectionCounts } from "./statistics.ts";
import type { Table } from "./table.ts";

/** What the servers of a hub have in common. */
export interface ArrivalsKit {
  readonly node: string;
  readonly table: Table;
  readonly limits: Limits;
  readonly counts: ConnectionCounts;
  readonly identify: (context: HandlerContext) => Identity | Promise<Identity>;
  readonly random: () => number;
  readonly times: LiveTimes;
  readonly entries: EntryOwner;
  readonly owner: ArrivalsOwner;
}

/** Is told of arrivals. */
export interface ArrivalsOwner {
  /** Whether the hub takes connections at all. */
  readonly isStopped: boolean;
  /** A number that is greater than all before. */
  nextNumber(): number;
  entered(entry: Entry): void;
  /** A call has an identity that ends. @param atMs milliseconds since 1970 */
  ends(atMs: number): void;
  /** A connection makes room for another one of its user. */
  displace(entry: Entry): void;
  started(server: Arrivals): void;
  drain(server: Arrivals, graceMs: number): void;
  stopped(server: Arrivals): void;
}

/** The connections of one server: streaming calls enter at the gate, WebSockets by `openSocket`. */
export class Arrivals implements ServerBook {
  readonly gate: Gate;
  readonly beatMs: number;
  readonly expiryNoticeMs: number;
  readonly #kit: ArrivalsKit;
  #isDraining = false;

  constructor(kit: ArrivalsKit) {
    this.#kit = kit;
    this.beatMs = kit.times.beatMs;
    this.expiryNoticeMs = kit.times.expiryNoticeMs;
    this.gate = {
      name: "hub",
      countsCalls: true,
      concerns: ({ methodKind }) => methodKind !== "unary",
      admit: (head) => this.#admit(head),
    };
  }

  started(): void {
    this.#isDraining = false;
    this.#kit.owner.started(this);
  }

  drain(graceMs: number): void {
    this.#isDraining = true;
    this.#kit.owner.drain(this, graceMs);
  }

  stopped(): void {
    this.#kit.owner.stopped(this);
  }

  /** @throws ConnectError by which the socket is refused */
  openSocket({ address, userAgent, method, sentBytes, waitingBytes, close }: SocketOpening): Entry {
    const { limits } = this.#kit;
    this.#refuse("websocket", limits.forAddress(address));
    const socket = { sentBytes, waitingBytes, close };
    return this.#enter({ door: "websocket", address, userAgent, method, socket }, undefined);
  }

  #admit(head: CallHead): void | Promise<void> {
    const { context, door } = head;
    if (!(context instanceof CallContext)) return undefined; // None of our servers'.
    // Calls of handlers in this process are parts of the connection that the handlers serve.
    if (door === "in-process" && context.connection !== undefined) return undefined;
    const identity = this.#kit.identify(context);
    if (identity instanceof Promise) return identity.then((found) => this.#begin(head, context, found));
    this.#begin(head, context, identity);
    return undefined;
  }

  /** A call begins, whose client is known. @throws ConnectError by which it is refused */
  #begin(head: CallHead, context: CallContext, found: Identity): void {
    if (context.isEnded || context.reason !== undefined) return; // Its client has left.
    const identity = checkedIdentity(found);
    const known = context.connection instanceof Entry ? context.connection : undefined;
    let entry: Entry;
    if (known === undefined) {
      entry = this.#open(head, identity);
      context.connection = entry;
    } else {
      entry = known;
      this.#continue(entry, identity);
    }
    this.#kit.counts.callBegan(entry);
    entry.add(context, identity);
    if (identity.expiresAtMs !== undefined) this.#kit.owner.ends(identity.expiresAtMs);
  }

  #open(head: CallHead, identity: Identity): Entry {
    const { door, method, client } = head;
    const { limits } = this.#kit;
    const { user } = identity;
    const address = client.ip;
    if (!isForOperators(method.parent.typeName)) {
      this.#refuse(door, limits.forAddress(address) ?? limits.forUser(user, address));
    }
    this.#displace(user);
    const userAgent = head.header("user-agent") ?? "";
    return this.#enter({ door, address, userAgent, method, socket: undefined }, identity);
  }

  /**
   * A call of a socket begins: the first one with a user says whose the socket is.
   *
   * @throws ConnectError where the user is refused, or has too many connections
   */
  #continue(entry: Entry, identity: Identity): void {
    const { limits, table } = this.#kit;
    const { user } = identity;
    if (user === undefined) return;
    if (entry.user !== undefined) {
      this.#refuse(entry.door, limits.forClosed(user, entry.address));
      return;
    }
    this.#refuse(entry.door, limits.forUser(user, entry.address));
    this.#displace(user);
    entry.identified(identity);
    table.identified(entry);
  }

  #displace(user: string | undefined): void {
    const oldest = this.#kit.limits.displaced(user);
    if (oldest !== undefined) this.#kit.owner.displace(oldest);
  }

  #enter(init: Omit<EntryInit, "node" | "number" | "server">, identity: Identity | undefined): Entry {
    const { node, table, counts, owner, entries } = this.#kit;
    const entry = new Entry({ ...init, node, number: owner.nextNumber(), server: this }, entries);
    if (identity !== undefined) entry.identified(identity);
    table.add(entry);
    counts.opened(entry.door);
    owner.entered(entry);
    return entry;
  }

  /** @throws ConnectError of the refusal, or UNAVAILABLE while the server stops */
  #refuse(
    door: DoorName,
    refused: { readonly reason: RefuseReason; readonly error: ConnectError } | undefined,
  ): void {
    const { owner, random } = this.#kit;
    if (this.#isDraining || owner.isStopped) {
      throw unavailableFor("the server is shutting down", retryMs(random));
    }
    if (refused === undefined) return;
    this.#kit.counts.refused(door, refused.reason);
    throw refused.error;
  }
}

/** Health and reflection are never refused: by them balancers and people look at a server that is full. */
function isForOperators(service: string): boolean {
  return service.startsWith("grpc.health.") || service.startsWith("grpc.reflection.");
}
