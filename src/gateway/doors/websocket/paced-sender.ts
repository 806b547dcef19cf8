import type { Socket } from "node:net";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";
import type { WebSocketOptions } from "../options/websocket-options.ts";
import type { Frame } from "./frame-codec.ts";
import { FrameSender } from "./frame-sender.ts";

/** The most unsent bytes of the connection; further messages wait in the queue. */
const windowBytes = 64 * 1024;

/** Limits of `PacedSender`. */
export type PacedSenderOptions = Pick<WebSocketOptions, "maxSocketUnsentBytes" | "socketWriteIdleMs">;

interface Waiting {
  readonly frame: Frame;
  /** Resolves the promise of `write`; undefined for messages of `writeUnpaced`. */
  readonly sent: (() => void) | undefined;
}

/** The number of this turn of the event loop, for all senders; it is counted while they send. */
let turn = 0;
let isCounting = false;

function thisTurn(): number {
  if (!isCounting) {
    isCounting = true;
    setImmediate(countTurn);
  }
  return turn;
}

function countTurn(): void {
  isCounting = false;
  turn++;
}

/**
 * Sends messages at the pace of the client (back-pressure): beyond a window of unsent bytes they wait in a queue.
 *
 * The queue is bounded: a caller of `write` waits before its next message, and messages of `writeUnpaced` have a limit.
 */
export class PacedSender {
  readonly #options: PacedSenderOptions;
  readonly #frames: FrameSender;
  readonly #onOverflow: (reason: string) => void;
  readonly #waiting: Waiting[] = [];
  /** Bytes sent in the turn of the event loop in which it has sent last. */
  #turnBytes = 0;
  #turn = -1;
  /** Whether it looks again in the next turn. */
  #awaitsTurn = false;
  /** Bytes of waiting messages of `writeUnpaced`. */
  #unpacedBytes = 0;
  #onSent: (() => void) | undefined;
  #idleTimer: NodeJS.Timeout | undefined;

  /**
   * @param socket the connection under `ws`
   * @param onOverflow called when the client reads too slowly or nothing
   */
  constructor(
    ws: PeerAwareWebSocket,
    socket: Socket,
    options: PacedSenderOptions,
    onOverflow: (reason: string) => void,
  ) {
    this.#options = options;
    this.#frames = new FrameSender(ws, socket, () => this.#drained());
    this.#onOverflow = onOverflow;
  }

  /** Sends a message. Returns a promise if the client must read something before the next one; it never rejects. */
  write(frame: Frame): Promise<void> | undefined {
    if (this.#canSend()) {
      this.#send(frame);
      return undefined;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#enqueue({ frame, sent: resolve });
    return promise;
  }

  /** Sends a text message whose caller does not wait. Too many bytes of such messages in the queue are an overflow. */
  writeUnpaced(data: string): void {
    const frame: Frame = { data, isBinary: false };
    if (this.#canSend()) {
      this.#send(frame);
      return;
    }
    this.#unpacedBytes += data.length;
    if (this.#unpacedBytes > this.#options.maxSocketUnsentBytes)
      this.#onOverflow("the client reads too slowly");
    else this.#enqueue({ frame, sent: undefined });
  }

  /** Calls `then` when all messages are with the connection: at once if none waits. */
  whenSent(then: () => void): void {
    this.#onSent = then;
    this.#sendWaiting();
  }

  /** Whether the function of `whenSent` has not been called yet. */
  get isFinishing(): boolean {
    return this.#onSent !== undefined;
  }

  /** Passes the messages of this turn of the event loop to the connection now. */
  flush(): void {
    this.#frames.flush();
  }

  /** Drops the queue and resolves its promises; the function of `whenSent` is not called any more. */
  release(): void {
    this.#stopIdleTimer();
    this.#onSent = undefined;
    for (const { sent } of this.#waiting.splice(0)) sent?.();
  }

  /** @internal The next turn of the event loop has begun. */
  nextTurn(): void {
    this.#awaitsTurn = false;
    if (this.#waiting.length > 0) this.#sendWaiting();
  }

  /** @internal The client has read nothing for `socketWriteIdleMs`. */
  stalled(): void {
    this.#onOverflow("the client reads nothing");
  }

  #canSend(): boolean {
    return this.#waiting.length === 0 && this.#hasCapacity();
  }

  /**
   * Whether another message can be sent now. The bytes per turn of the event loop are limited too: a client that reads
   * everything at once must not let its call occupy the event loop.
   */
  #hasCapacity(): boolean {
    const now = thisTurn();
    if (this.#turn !== now) {
      this.#turn = now;
      this.#turnBytes = 0;
    }
    return this.#turnBytes < windowBytes && this.#frames.waitingBytes < windowBytes;
  }

  #send(frame: Frame): void {
    const { data, isBinary } = frame;
    const whole = this.#frames.takesFrames ? frame.shared?.() : undefined;
    this.#turnBytes += (whole ?? data).length + 1;
    if (whole === undefined) this.#frames.send(data, isBinary);
    else this.#frames.sendFrame(whole);
  }

  #enqueue(message: Waiting): void {
    this.#waiting.push(message);
    this.#startIdleTimer();
    this.#lookNextTurn();
  }

  /** It may have sent all that it may in one turn. */
  #lookNextTurn(): void {
    if (this.#awaitsTurn || this.#turnBytes < windowBytes) return;
    this.#awaitsTurn = true;
    setImmediate(nextTurn, this);
  }

  /** From now on the client must read something within `socketWriteIdleMs`. */
  #startIdleTimer(): void {
    this.#idleTimer ??= setTimeout(stalled, this.#options.socketWriteIdleMs, this);
  }

  #stopIdleTimer(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
  }

  /** The connection has sent some bytes. */
  #drained(): void {
    if (this.#idleTimer === undefined) return;
    this.#stopIdleTimer();
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    while (this.#hasCapacity()) {
      const message = this.#waiting.shift();
      if (message === undefined) break;
      this.#send(message.frame);
      if (message.sent === undefined) this.#unpacedBytes -= message.frame.data.length;
      else message.sent();
    }
    if (this.#waiting.length > 0) {
      this.#startIdleTimer();
      this.#lookNextTurn();
      return;
    }
    this.#stopIdleTimer();
    const then = this.#onSent;
    if (then === undefined) return;
    this.#onSent = undefined;
    this.#frames.flush();
    then();
  }
}

function nextTurn(sender: PacedSender): void {
  sender.nextTurn();
}

function stalled(sender: PacedSender): void {
  sender.stalled();
}
