import type { Server } from "node:http";
import type { Socket } from "node:net";
import { type ConnectionTable, readConnections } from "./connection-table.ts";
import type { Http1Exchange } from "./http1-exchange.ts";

/** Options of `watchPeers`. */
export interface PeerWatchOptions {
  /** A client that has vanished loses its connection within twice this time, in milliseconds. */
  readonly heartbeatMs: number;
}

/** How often bodies that wait for their reader are looked at, in milliseconds: their client is missed within a second. */
const intervalMs = 250;

/**
 * Closes HTTP/1.1 connections whose client is gone where the socket itself does not say so:
 *
 * - while a request's body waits for its reader, nothing is read, so that neither a close nor a reset is seen;
 * - what was sent to a client that has vanished is sent again for a quarter of an hour before the system gives up.
 *
 * Those who vanish while nothing is sent are found by probes, see `probe`. This needs a system that tells (Linux); a
 * client whose close waits behind more bytes than the system takes for us is missed only when they are read.
 */
export function watchPeers(
  server: Server,
  exchanges: Iterable<Http1Exchange>,
  { heartbeatMs }: PeerWatchOptions,
): void {
  const watch = new PeerWatch(exchanges, heartbeatMs);
  const clock = setInterval(() => void watch.look(), intervalMs).unref();
  server.once("close", () => clearInterval(clock));
}

/** Lets the system look, while nothing is sent on a connection, whether its peer is there. */
export function probe(socket: Socket, { heartbeatMs }: PeerWatchOptions): void {
  const probes = Math.min(10, Math.max(1, Math.floor(heartbeatMs / 1000)));
  socket.setKeepAlive(true, Math.max(1000, heartbeatMs / 3), 1000, probes); // One each second.
}

/** A look is followed by a pause so many times as long: reading the table of a busy machine takes time. */
const pauseFactor = 4;

/** How long what was sent may stay without an acknowledgement, in heartbeats: the rest of two goes to what is before. */
const patience = 2 / 3;

/** What earlier looks have found of a connection. */
interface Suspicion {
  /** Looks in a row that did not find it: one may miss a line, as the table changes under the reader. */
  missed: number;
  /** Since when nothing was acknowledged, and how often it had been sent again at the last look. */
  silentSince: number;
  retries: number;
}

class PeerWatch {
  readonly #exchanges: Iterable<Http1Exchange>;
  readonly #heartbeatMs: number;
  readonly #suspicions = new WeakMap<Socket, Suspicion>();
  #looking = false;
  #nextLook = 0;
  #answersDue = 0;
  /** Whether the table is that of our network: only then does it mean something that a connection is not there. */
  #trusted = false;

  constructor(exchanges: Iterable<Http1Exchange>, heartbeatMs: number) {
    this.#exchanges = exchanges;
    this.#heartbeatMs = heartbeatMs;
  }

  async look(): Promise<void> {
    const startedAt = performance.now();
    if (this.#looking || startedAt < this.#nextLook) return;
    const suspects = this.#suspects();
    if (suspects.size === 0) return;
    this.#looking = true;
    try {
      const table = await readConnections();
      if (table === undefined) return;
      for (const socket of suspects) if (this.#isGone(socket, table)) socket.destroy();
    } finally {
      this.#looking = false;
      const now = performance.now();
      this.#nextLook = now + (now - startedAt) * pauseFactor;
    }
  }

  #suspects(): Set<Socket> {
    const now = performance.now();
    const answersToo = now >= this.#answersDue;
    if (answersToo) this.#answersDue = now + this.#heartbeatMs / 6;
    const suspects = new Set<Socket>();
    for (const exchange of this.#exchanges) {
      const { req } = exchange;
      if (!req.isPaused() && !(answersToo && exchange.headersSent)) continue;
      // Only TCP has addresses.
      if (req.socket.remoteAddress !== undefined && !req.socket.destroyed) suspects.add(req.socket);
    }
    return suspects;
  }

  #isGone(socket: Socket, table: ConnectionTable): boolean {
    if (socket.destroyed) return false;
    let suspicion = this.#suspicions.get(socket);
    if (suspicion === undefined) {
      this.#suspicions.set(socket, (suspicion = { missed: 0, silentSince: 0, retries: 0 }));
    }
    const known = table.connection(socket);
    this.#trusted ||= known !== undefined || table.listensFor(socket);
    if (known === undefined) return this.#trusted && ++suspicion.missed > 1;
    suspicion.missed = 0;
    return known.closedByPeer || this.#isSilent(known.retries, suspicion);
  }

  /** Whether the peer has acknowledged nothing for so long that it must have vanished. */
  #isSilent(retries: number, suspicion: Suspicion): boolean {
    const now = performance.now();
    const goesOn = suspicion.retries > 0 && retries >= suspicion.retries;
    if (!goesOn) suspicion.silentSince = now;
    suspicion.retries = retries;
    return goesOn && now - suspicion.silentSince >= this.#heartbeatMs * patience;
  }
}
