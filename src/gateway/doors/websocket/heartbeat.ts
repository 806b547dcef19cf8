import type { Socket } from "node:net";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";

/** A heartbeat that comes later than this multiple of its time says nothing of the client. */
const lateFactor = 1.5;

/** Sends pings, and tells dead clients from those that are silent, slow to read, or not read themselves. */
export class Heartbeat {
  readonly #ws: PeerAwareWebSocket;
  readonly #socket: Socket;
  readonly #intervalMs: number;
  readonly #dead: () => void;
  #timer: NodeJS.Timeout | undefined;
  /** When the last one was, in `performance.now()` milliseconds. */
  #beatAt = 0;
  /** How many there were since the client was last heard. */
  #silence = 0;
  #bytesRead = 0;
  #bufferedBytes = 0;
  /** Whether the last ping is still behind other frames. */
  #pinging = false;

  /**
   * @param socket the connection under `ws`
   * @param intervalMs time between two pings in milliseconds; 0 for none
   * @param dead called once the client was silent for two of them
   */
  constructor(ws: PeerAwareWebSocket, socket: Socket, intervalMs: number, dead: () => void) {
    this.#ws = ws;
    this.#socket = socket;
    this.#intervalMs = intervalMs;
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

  /** The client is read again, and its silence begins anew. */
  reset(): void {
    this.#silence = 0;
  }

  /** Sends a ping, or gives the client up. */
  beat(): void {
    if (this.#timer === undefined) return;
    this.#timer.refresh();
    if (this.#heard()) this.#silence = 0;
    if (++this.#silence >= 2) {
      this.#dead();
    } else if (this.#ws.readyState === this.#ws.OPEN) {
      this.#pinging = true;
      this.#ws.ping(undefined, undefined, this.#pinged);
    }
  }

  /** Whether there was a sign of life since the last heartbeat, or none could be seen. */
  #heard(): boolean {
    const { bytesRead } = this.#socket;
    const { bufferedAmount } = this.#ws;
    // A ping behind messages that are being read is no sign of death.
    const reads = this.#pinging && bufferedAmount !== this.#bufferedBytes;
    const speaks = bytesRead !== this.#bytesRead;
    this.#bytesRead = bytesRead;
    this.#bufferedBytes = bufferedAmount;
    // What a client sent while this process did something else is still to be read, and its turn may not be next.
    const now = performance.now();
    const late = now - this.#beatAt > this.#intervalMs * lateFactor;
    this.#beatAt = now;
    return speaks || reads || late || this.#ws.isPaused;
  }

  readonly #pinged = (): void => {
    this.#pinging = false;
  };
}

/** Timers come before what waits to be read, which may be the sign of life. */
function beatSoon(heartbeat: Heartbeat): void {
  setImmediate(beat, heartbeat);
}

function beat(heartbeat: Heartbeat): void {
  heartbeat.beat();
}
