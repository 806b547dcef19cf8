import type { Socket } from "node:net";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";
import type { WebSocketOptions } from "../options/websocket-options.ts";

/** A heartbeat that is later than this multiple of its interval is no evidence of a dead client. */
const lateFactor = 1.5;

/** Options of a `Heartbeat`. */
type HeartbeatOptions = Pick<WebSocketOptions, "socketHeartbeatMs" | "socketPongWaitMs">;

/** Sends pings and detects dead clients. Clients that are idle, read slowly, or are paused by the server are alive. */
export class Heartbeat {
  readonly #ws: PeerAwareWebSocket;
  readonly #socket: Socket;
  readonly #intervalMs: number;
  /** How many intervals a client may be silent. */
  readonly #patience: number;
  readonly #dead: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** The time of the last heartbeat, in `performance.now()` milliseconds. */
  #beatAt = 0;
  /** The number of heartbeats since the client's last sign of life. */
  #silence = 0;
  #bytesRead = 0;
  #bufferedBytes = 0;
  /** Whether the last ping still waits behind other frames. */
  #pinging = false;

  /**
   * @param socket the connection under `ws`
   * @param dead called when the client was silent for too long
   */
  constructor(ws: PeerAwareWebSocket, socket: Socket, options: HeartbeatOptions, dead: () => void) {
    const { socketHeartbeatMs: intervalMs, socketPongWaitMs = 2 * intervalMs } = options;
    this.#ws = ws;
    this.#socket = socket;
    this.#intervalMs = intervalMs;
    this.#patience = Math.max(1, Math.ceil(socketPongWaitMs / intervalMs));
    this.#dead = dead;
  }

  start(): void {
    if (this.#intervalMs <= 0) return;
    this.#beatAt = performance.now();
    this.#timer = setTimeout(beatSoon, this.#intervalMs, this);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Restarts the count of silent intervals, when the client is read again. */
  reset(): void {
    this.#silence = 0;
  }

  /** Sends a ping, or reports a dead client. */
  beat(): void {
    if (this.#timer === undefined) return;
    this.#timer.refresh();
    if (this.#isAlive()) this.#silence = 0;
    if (++this.#silence >= this.#patience) {
      this.#dead();
    } else if (this.#ws.readyState === this.#ws.OPEN) {
      this.#pinging = true;
      this.#ws.ping(undefined, undefined, this.#pinged);
    }
  }

  /** Whether there was a sign of life since the last heartbeat, or none could be detected. */
  #isAlive(): boolean {
    const { bytesRead } = this.#socket;
    const { bufferedAmount } = this.#ws;
    // While a ping waits behind messages, progress of the client's reading is the sign of life.
    const reads = this.#pinging && bufferedAmount !== this.#bufferedBytes;
    const sends = bytesRead !== this.#bytesRead;
    this.#bytesRead = bytesRead;
    this.#bufferedBytes = bufferedAmount;
    // After a late heartbeat, received bytes of the client may not have been read yet.
    const now = performance.now();
    const late = now - this.#beatAt > this.#intervalMs * lateFactor;
    this.#beatAt = now;
    return sends || reads || late || this.#ws.isPaused;
  }

  readonly #pinged = (): void => {
    this.#pinging = false;
  };
}

/** Beats after the next poll for I/O: timers run before it, and unread bytes may be the sign of life. */
function beatSoon(heartbeat: Heartbeat): void {
  setImmediate(beat, heartbeat);
}

function beat(heartbeat: Heartbeat): void {
  heartbeat.beat();
}
