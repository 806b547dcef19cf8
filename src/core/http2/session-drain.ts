import type { Socket } from "node:net";
import type { ControlWriter } from "./control-writer.ts";
import { most31 } from "./frame.ts";
import { errorCode } from "./http2-error.ts";
import type { ConnectionEnd } from "./http2-counts.ts";

/** How long a client may take to close its side of a connection, or to answer the ping of a drain, in milliseconds. */
const closingMs = 1_000;

/**
 * The end of a connection of a server: GOAWAY with the largest number and a ping, at its answer, or after a second,
 * GOAWAY with the last stream that is processed, and the close; and why it ended.
 */
export class SessionDrain {
  readonly #socket: Socket;
  readonly #control: ControlWriter;
  #state: "none" | "announced" | "final" = "none";
  #timer: NodeJS.Timeout | undefined;
  #finish: (() => void) | undefined;
  #cause: ConnectionEnd | undefined;
  /** The last stream that is processed. */
  mostStreamId = Infinity;

  constructor(socket: Socket, control: ControlWriter) {
    this.#socket = socket;
    this.#control = control;
  }

  /** Whether the client was asked to go elsewhere. */
  get isAnnounced(): boolean {
    return this.#state !== "none";
  }

  /** Whether the client knows which stream is the last one. */
  get isFinal(): boolean {
    return this.#state === "final";
  }

  /** Asks the client to go elsewhere. `finish` is called when it knows. */
  announce(cause: ConnectionEnd, finish: () => void): void {
    if (this.#state !== "none") return;
    this.blame(cause);
    this.#state = "announced";
    this.#finish = finish;
    this.#control.goaway(errorCode.noError, "", most31);
    this.#control.ping();
    this.#timer = setTimeout(finish, closingMs);
  }

  /** The answer to a ping has come. */
  acknowledged(): void {
    if (this.#state === "announced") this.#finish?.();
  }

  /** Names the last stream that is processed. */
  finish(lastStreamId: number, hasStreams: boolean): void {
    clearTimeout(this.#timer);
    this.#state = "final";
    this.mostStreamId = lastStreamId;
    if (hasStreams) this.#control.goaway(errorCode.noError, "", lastStreamId);
  }

  /** Sends the last GOAWAY and closes the connection. */
  leave(code: number, debug: string, lastStreamId: number): void {
    this.#control.goaway(code, debug, lastStreamId);
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), closingMs).unref();
  }

  /** Says why the connection ends; the first reason counts. */
  blame(cause: ConnectionEnd): void {
    this.#cause ??= cause;
  }

  /** The connection is closed. @returns why */
  closed(): ConnectionEnd {
    clearTimeout(this.#timer);
    return this.#cause ?? "closed";
  }
}
