import type { ServerHttp2Session } from "node:http2";

/** Options of `watchPulse`. */
export interface PulseOptions {
  /** The connection of a dead client is closed within twice this time, in milliseconds. */
  readonly heartbeatMs: number;
  /** Whether the connection has open streams: only then dead clients are detected. */
  readonly busy: () => boolean;
  /** Called when the client is dead. */
  readonly onLost: () => void;
}

/** Checks per `heartbeatMs`. */
const checks = 2;

/**
 * Detects a dead client of an HTTP/2 connection: pings it when no byte was received for a while, however much is sent
 * to it, and calls `onLost` when it does not respond for `heartbeatMs`. Any received byte counts as a response: the
 * acknowledgement of a ping may wait behind all bytes that a slow client has not read yet.
 */
export function watchPulse(session: ServerHttp2Session, { heartbeatMs, busy, onLost }: PulseOptions): void {
  let before = 0;
  let silence = 0;
  const check = (): void => {
    if (session.destroyed) return;
    const { bytesRead } = session.socket;
    silence = bytesRead === before && busy() ? silence + 1 : 0;
    before = bytesRead;
    if (silence === 1) session.ping(nothing);
    else if (silence > checks) onLost();
  };
  const clock = setInterval(check, heartbeatMs / checks).unref();
  session.once("close", () => clearInterval(clock));
}

function nothing(): void {}
