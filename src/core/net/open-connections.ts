import type { Socket } from "node:net";

/** An open connection of a port. */
export interface OpenConnection {
  /** `HTTP/1.1`, `HTTP/2`, `WebSocket`; empty while it is not known. */
  readonly protocol: string;
  /** Address and port of the other end; empty where it has none. */
  readonly peer: string;
  readonly isSecure: boolean;
  readonly ageMs: number;
  /** Bytes from and to the other end, with those of TLS. */
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

interface Entry {
  protocol: string;
  readonly peer: string;
  readonly isSecure: boolean;
  readonly since: number;
}

/** The open connections of a port. */
export class OpenConnections {
  readonly #entries = new Map<Socket, Entry>();

  /** A connection was accepted. @param socket the one of TCP, also where TLS is on it */
  opened(socket: Socket, isSecure: boolean): void {
    const { remoteAddress, remotePort } = socket;
    const peer = remoteAddress === undefined ? "" : `${remoteAddress}:${remotePort ?? 0}`;
    this.#entries.set(socket, { protocol: "", peer, isSecure, since: performance.now() });
    socket.once("close", () => this.#entries.delete(socket));
  }

  /** The protocol of a connection is known. */
  speaks(socket: Socket, protocol: string): void {
    const entry = this.#entries.get(socket);
    if (entry !== undefined) entry.protocol = protocol;
  }

  /** The connections now, the oldest first. */
  list(): readonly OpenConnection[] {
    const now = performance.now();
    return [...this.#entries].map(([socket, { since, ...entry }]) => ({
      ...entry,
      ageMs: now - since,
      receivedBytes: socket.bytesRead,
      sentBytes: socket.bytesWritten,
    }));
  }
}
