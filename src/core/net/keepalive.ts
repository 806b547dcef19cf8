import type { Socket } from "node:net";

/** Options of `setKeepalive`. */
export interface KeepaliveOptions {
  /** The connection of a dead peer is closed within twice this time, in milliseconds, if no bytes are in flight. */
  readonly heartbeatMs: number;
}

/**
 * Switches TCP keepalive on: while no byte is in flight on `socket`, the system probes the peer after a third of
 * `heartbeatMs`, then each second, and closes the connection of a dead peer after as many unanswered probes as
 * `heartbeatMs` has seconds, 10 at most.
 *
 * The system counts in whole seconds, so that one second without traffic and one probe are the minimum. Node before
 * 26.4 always sends 10 probes, so that twice `heartbeatMs` holds from 6 seconds up. Bytes without an acknowledgement
 * suspend the probes: the system sends those bytes again and closes the connection by a limit of its own. Unix sockets
 * have no keepalive.
 */
export function setKeepalive(socket: Socket, { heartbeatMs }: KeepaliveOptions): void {
  const probes = Math.min(10, Math.max(1, Math.floor(heartbeatMs / 1000)));
  probeAfter(socket, Math.max(1000, heartbeatMs / 3), probes);
}

/** Switches TCP keepalive on: after `silenceMs` without a byte the system probes the peer, then each second. */
export function probeAfter(socket: Socket, silenceMs: number, probes = 10): void {
  socket.setKeepAlive(true, silenceMs, 1000, probes);
}
