import type { ServerHttp2Session } from "node:http2";

/** Options of `watchPulse`. */
export interface PulseOptions {
  /** A client that has vanished loses its connection within twice this time, in milliseconds. */
  readonly heartbeatMs: number;
  /** Whether somebody waits for the client: only then does it matter that it is there. */
  readonly busy: () => boolean;
  /** The client has vanished. */
  readonly onLost: () => void;
}

/** Looks within `heartbeatMs`. */
const looks = 2;

/**
 * Pings the client of an HTTP/2 connection when nothing came from it for a while, however much is sent to it, and tells
 * when it does not answer for `heartbeatMs`. Any byte counts as an answer: that to a ping waits behind all that a slow
 * client has still to take.
 */
export function watchPulse(session: ServerHttp2Session, { heartbeatMs, busy, onLost }: PulseOptions): void {
  let before = 0;
  let silence = 0;
  const look = (): void => {
    if (session.destroyed) return;
    const { bytesRead } = session.socket;
    silence = bytesRead === before && busy() ? silence + 1 : 0;
    before = bytesRead;
    if (silence === 1) session.ping(nothing);
    else if (silence > looks) onLost();
  };
  const clock = setInterval(look, heartbeatMs / looks).unref();
  session.once("close", () => clearInterval(clock));
}

function nothing(): void {}
