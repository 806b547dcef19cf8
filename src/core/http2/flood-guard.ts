import type { Socket } from "node:net";
import { GlitchBudget, type GlitchLimit } from "./glitch-budget.ts";
import { floodError } from "./http2-error.ts";

/** Entries of a SETTINGS frame that are no glitches. */
const usualSettings = 32;

/** Control frames that wait because the peer does not read. */
const mostWaitingControls = 1_000;

/** Ends a connection whose peer makes work without a use, or does not read what it makes this side send. */
export class FloodGuard {
  readonly #socket: Socket;
  readonly #glitches: GlitchBudget;
  /** Whether headers or data went either way since the peer's last ping. */
  #worked = true;
  #waitingControls = 0;

  constructor(socket: Socket, limit: GlitchLimit) {
    this.#socket = socket;
    this.#glitches = new GlitchBudget(limit, () => performance.now());
  }

  /** Headers or data went either way. */
  work(): void {
    this.#worked = true;
  }

  /** Streams were opened: each is worth four glitches. */
  opened(streams: number): void {
    this.#glitches.earn(4 * streams);
  }

  /** A frame without a use has come. @throws Http2Error for too many */
  glitch(what: string): void {
    if (!this.#glitches.spend()) throw floodError(`too many: ${what}`);
  }

  /** SETTINGS after the first have come. @throws Http2Error for too many */
  settings(entries: number): void {
    this.glitch("SETTINGS");
    for (let count = entries; count > usualSettings; count--) this.glitch("SETTINGS");
  }

  /** A PING has come. @throws Http2Error for too many without work in between */
  ping(): void {
    if (!this.#worked) this.glitch("PING");
    this.#worked = false;
  }

  /** A frame of the peer is answered at once: such answers wait if it does not read them. @throws Http2Error for too many */
  answer(): void {
    if (this.#socket.writableLength > 0 && ++this.#waitingControls > mostWaitingControls) {
      throw floodError("answers are not read");
    }
  }

  /** Bytes were handed to the system. */
  written(): void {
    if (this.#socket.writableLength === 0) this.#waitingControls = 0;
  }
}
