import type { HandlerContext } from "@connectrpc/connect";
import { otherUser } from "../core/admission/other-user.ts";
import type { RenewedCall } from "../core/call/booked-connection.ts";
import { CallContext } from "../core/call/context.ts";
import { refusal } from "../core/admission/refusal.ts";
import { Code, type ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { Arrivals, type ArrivalsKit, type ArrivalsOwner } from "./connections/arrivals.ts";
import { closeError, type CloseOptions, type HubOutcome, retryMs } from "./connections/close.ts";
import type { CloseReason } from "./connections/connection.ts";
import { drainInTurn } from "./connections/drain.ts";
import { Entry, type EntryOwner } from "./connections/entry.ts";
import { checkedIdentity } from "./connections/identity.ts";
import { Expiry } from "./connections/expiry.ts";
import { Limits } from "./connections/limits.ts";
import { Refusals, type Refused } from "./connections/refusals.ts";
import type { Matches } from "./connections/selectable.ts";
import { forSelected } from "./connections/selected.ts";
import type { Selector } from "./connections/selector.ts";
import { ConnectionCounts, type ConnectionTotals } from "./connections/statistics.ts";
import { Table } from "./connections/table.ts";
import type { HubListeners } from "./hub-events.ts";
import type { HubOptions } from "./hub-options.ts";
import { randomName } from "./room/position.ts";

/** Time and chance of a hub. */
export interface LiveParts {
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Returns numbers from 0 to 1. */
  readonly random: () => number;
}

/** What connections are told to. */
export interface LiveOwner {
  /** Looks at what the calls of a connection were granted. @returns when the next grant ends; Infinity for never */
  grantsOf(entry: Entry, nowMs: number): number;
  /** Calls of a connection go on with other credentials of their user. */
  renewed(entry: Entry, calls: readonly HandlerContext[]): void;
  /** The client of a connection has handled a message. @param token as `BookedConnection.confirmed` */
  confirmed(entry: Entry, token: string): void;
  /** A server serves again, behind `over`. */
  resumed(): void;
  /** No server serves any more. */
  over(): void;
}

/** The connections of a hub in this process, from their arrival to their end. */
export class LiveConnections implements ArrivalsOwner, EntryOwner {
  readonly node = randomName();
  readonly table = new Table();
  readonly counts: ConnectionCounts;
  readonly #options: HubOptions;
  readonly #parts: LiveParts;
  readonly #listeners: HubListeners;
  readonly #refusals: Refusals;
  readonly #limits: Limits;
  readonly #kit: ArrivalsKit;
  readonly #expiry: Expiry;
  /** Servers that serve. */
  readonly #servers = new Set<Arrivals>();
  readonly #endDrains = new Map<Arrivals, () => void>();
  readonly #owner: LiveOwner;
  #lastNumber = 0;
  #isStopped = false;
  #isOver = false;

  constructor(options: HubOptions, parts: LiveParts, listeners: HubListeners, owner: LiveOwner) {
    const { clock, wallMs, random } = parts;
    this.#options = options;
    this.#parts = parts;
    this.#owner = owner;
    this.#listeners = listeners;
    this.#refusals = new Refusals(wallMs);
    this.counts = new ConnectionCounts(wallMs());
    this.#expiry = new Expiry(clock, wallMs, (nowMs) => this.#endExpired(nowMs));
    const { node, table, counts } = this;
    const limits = (this.#limits = new Limits(options, table, this.#refusals, random));
    const { identify } = options;
    this.#kit = { node, table, limits, counts, identify, random, times: options, entries: this, owner: this };
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  attach(): Arrivals {
    return new Arrivals(this.#kit);
  }

  nextNumber(): number {
    return ++this.#lastNumber;
  }

  wallMs(): number {
    return this.#parts.wallMs();
  }

  nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  /** A unary call as topics see it: it is in no list. @throws ConnectError of `identify` */
  async visitorOf(context: CallContext): Promise<Entry> {
    const identity = checkedIdentity(await this.#options.identify(context));
    const { node, connection } = { node: this.node, connection: context.connection };
    if (connection instanceof Entry && connection.identityOf(context).user === identity.user)
      return connection;
    const { method, requestHeader } = context;
    const visitor = new Entry(
      {
        ...{ node, method, number: 0, server: this, door: "in-process", address: "", socket: undefined },
        userAgent: requestHeader.get("user-agent") ?? "",
      },
      this,
    );
    visitor.identified(identity);
    return visitor;
  }

  entered(entry: Entry): void {
    this.#listeners.emit("connected", () => ({ connection: entry.describe() }));
  }

  callEnded(entry: Entry, call: CallContext): void {
    this.counts.callEnded(entry, call);
  }

  async renew(entry: Entry, calls: readonly RenewedCall[]): Promise<void> {
    const { identify } = this.#options;
    const found = await Promise.all(
      calls.map(async ({ call, shown }) => ({ call, identity: checkedIdentity(await identify(shown)) })),
    );
    for (const { call, identity } of found) {
      if (!(call instanceof CallContext)) continue; // None of ours.
      const refused = this.#limits.forClosed(identity.user, entry.address);
      if (refused !== undefined) throw refused.error;
      if (identity.user !== entry.identityOf(call).user) throw otherUser();
    }
    for (const { call, identity } of found) {
      if (!(call instanceof CallContext)) continue;
      entry.identifiedAgain(call, identity);
      this.ends(identity.expiresAtMs);
    }
    this.#owner.renewed(
      entry,
      calls.map(({ call }) => call),
    );
  }

  confirmed(entry: Entry, token: string): void {
    this.#owner.confirmed(entry, token);
  }

  left(entry: Entry, reason: CloseReason): void {
    this.table.delete(entry);
    this.counts.left(entry, reason);
    this.#listeners.emit("disconnected", () => ({ connection: entry.describe(), reason }));
  }

  /** An identity or a grant ends. @param atMs milliseconds since 1970; undefined for never */
  ends(atMs: number | undefined): void {
    if (atMs !== undefined) this.#expiry.by(atMs);
  }

  displace(entry: Entry): void {
    const options = { reason: "another connection of the user has taken its place", reconnect: false };
    this.#close(entry, options, "user_limit");
  }

  /** Ends what is selected. */
  async close(selector: Selector, matches: Matches, options: Required<CloseOptions>): Promise<HubOutcome> {
    if (options.refuseMs > 0) this.#refusals.add(selector, options);
    return forSelected(this.table, matches, async (entry, calls) => {
      for (const reader of entry.readers)
        if (calls === "all" || calls.includes(reader.context)) reader.isClosed = true;
      if (calls === "all") return this.#close(entry, options, "closed");
      for (const call of calls) call.abort(this.#closeError(options));
      return true;
    });
  }

  started(server: Arrivals): void {
    this.#servers.add(server);
    if (!this.#isOver || this.#isStopped) return;
    this.#isOver = false;
    this.#owner.resumed();
  }

  /**
   * Connections that read topics end in their turns; others go on until their server ends them. Long polls are answered
   * at once by their server.
   */
  drain(server: Arrivals, graceMs: number): void {
    const { clock, random } = this.#parts;
    const reading = [...this.table].filter(
      (entry) => entry.server === server && entry.door !== "long-poll" && entry.readers.length > 0,
    );
    const all = reading.map((entry) => ({ end: (error: ConnectError) => entry.endReaders(error) }));
    this.#endDrains.set(server, drainInTurn(all, this.#options.drain, graceMs, clock, random));
  }

  stopped(server: Arrivals): void {
    this.#endDrains.get(server)?.();
    this.#endDrains.delete(server);
    if (this.#servers.delete(server) && this.#servers.size === 0) this.#end();
  }

  stop(): void {
    this.#isStopped = true;
    this.#end();
  }

  totals(): ConnectionTotals {
    return this.counts.totals(this.table);
  }

  /** Whom it refuses for a while as their connections were closed. */
  get refused(): readonly Refused[] {
    return this.#refusals.live;
  }

  #end(): void {
    this.#expiry.stop();
    const options = { reason: "the server is shutting down", reconnect: true };
    for (const entry of this.table) this.#close(entry, options, "closed");
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.over();
  }

  #close(
    entry: Entry,
    options: Pick<Required<CloseOptions>, "reason" | "reconnect">,
    why: CloseReason,
  ): boolean {
    return entry.close(this.#closeError(options), why);
  }

  #closeError(options: Pick<Required<CloseOptions>, "reason" | "reconnect">): ConnectError {
    return closeError(options, retryMs(this.#parts.random));
  }

  /** @returns when the next identity or grant ends */
  async #endExpired(nowMs: number): Promise<number> {
    let nextMs = Number.POSITIVE_INFINITY;
    await this.table.each(0, (entry) => {
      nextMs = Math.min(nextMs, entry.endExpired(nowMs, expired), this.#owner.grantsOf(entry, nowMs));
      return true;
    });
    return nextMs;
  }
}

function expired(): ConnectError {
  return refusal({
    kind: "unauthenticated",
    code: Code.Unauthenticated,
    reason: "TOKEN_EXPIRED",
    message: "the credentials of the call have expired",
  });
}
