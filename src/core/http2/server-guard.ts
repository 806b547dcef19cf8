import type { Socket } from "node:net";
import { GlitchBudget } from "./glitch-budget.ts";
import { floodError } from "./http2-error.ts";
import { PingStrikes } from "./ping-strikes.ts";
import type { Http2Tuning } from "./server-session-options.ts";

/** Control frames that wait because the client does not read. */
const mostWaitingControls = 1_000;

/** Entries of a SETTINGS frame that are no glitches. */
const usualSettings = 32;

/**
 * Counts what a client does that makes work and nothing else. Every method throws an `Http2Error` ENHANCE_YOUR_CALM for
 * what is too much.
 */
export class ServerGuard {
  readonly #socket: Socket;
  readonly #resets: GlitchBudget;
  readonly #glitches: GlitchBudget;
  readonly #strikes: PingStrikes;
  /** Whether headers or data went either way since the client's last ping. */
  #worked = true;
  #waitingControls = 0;

  /** @param minPingIntervalMs Shortest time between two pings while the server sends nothing, in milliseconds. */
  constructor(socket: Socket, { maxResets, maxGlitches }: Http2Tuning, minPingIntervalMs: number) {
    this.#socket = socket;
    const now = (): number => performance.now();
    this.#resets = new GlitchBudget(maxResets, now);
    this.#glitches = new GlitchBudget(maxGlitches, now);
    this.#strikes = new PingStrikes(minPingIntervalMs);
  }

  /** A stream was opened: useful work. */
  opened(): void {
    this.#glitches.earn(4);
  }

  /** Headers or data have come. */
  received(): void {
    this.#worked = true;
  }

  /** Headers or data go out. */
  sent(): void {
    this.#worked = true;
    this.#strikes.forget();
  }

  /** The client has ended a stream, or made us end it, before its reply. */
  reset(): void {
    if (!this.#resets.spend()) throw floodError("too many streams are reset");
  }

  /** A frame without a use has come. */
  glitch(what: string): void {
    if (!this.#glitches.spend()) throw floodError(`too many: ${what}`);
  }

  /** SETTINGS of so many entries have come, not for the first time. */
  settings(entries: number): void {
    this.glitch("SETTINGS");
    for (let count = entries; count > usualSettings; count--) this.glitch("SETTINGS");
  }

  /** A ping has come. @param isIdle as for `PingStrikes.isOut` */
  ping(isIdle: boolean): void {
    if (!this.#worked) this.glitch("PING");
    this.#worked = false;
    if (this.#strikes.isOut(isIdle)) throw floodError("too_many_pings");
  }

  /** A frame of the client is answered at once: such answers wait if it does not read them. */
  answer(): void {
    if (this.#socket.writableLength > 0 && ++this.#waitingControls > mostWaitingControls) {
      throw floodError("answers are not read");
    }
  }

  /** No bytes wait for the client any more. */
  emptied(): void {
    this.#waitingControls = 0;
  }
}
