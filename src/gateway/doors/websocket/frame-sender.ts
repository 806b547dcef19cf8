import type { Socket } from "node:net";
import { flushAtTurnEnd, type Flushed } from "../../../core/wire/turn-end.ts";
import type { SharedBytes } from "../../../core/wire/shared-bytes.ts";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";
import { putFrame, reservedBytes } from "./frame-bytes.ts";

/** Longer messages are written separately. */
const longest = 4096;

/** A buffer for frames. All senders share it: it contains nothing between calls of their functions. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

const nothing = Buffer.alloc(0);

/**
 * Sends messages as frames. The short ones of one turn of the event loop are sent at its end in one write: separate
 * writes would cost more than all other work. Compressed and long ones are sent by the engine, in order with the
 * others. Frames that many sockets are sent are written as they are.
 *
 * Control frames that the engine sends itself, pings and pongs, may overtake messages of the same turn (RFC 6455
 * section 5.4 allows them anywhere between messages); call `flush` before a close frame.
 */
export class FrameSender implements Flushed {
  readonly #ws: PeerAwareWebSocket;
  readonly #socket: Socket;
  readonly #sent: () => void;
  readonly #compresses: boolean;
  /** Text messages, and binary ones as bytes; or `#shared`, never both. */
  #pending: (string | Buffer)[] = [];
  #shared: SharedBytes | undefined;
  #pendingLength = 0;
  #isQueued = false;
  /** Whether the operating system may not have taken all that was written. */
  #mayWait = false;

  /**
   * @param socket the connection under `ws`
   * @param sent called when the operating system has received some bytes that it has not taken at once
   */
  constructor(ws: PeerAwareWebSocket, socket: Socket, sent: () => void) {
    this.#ws = ws;
    this.#socket = socket;
    this.#sent = sent;
    this.#compresses = ws.extensions !== "";
  }

  /** Whether `sendFrame` may be called: messages of this socket are not compressed. */
  get takesFrames(): boolean {
    return !this.#compresses;
  }

  /** The approximate number of bytes that the operating system has not received yet. */
  get waitingBytes(): number {
    if (!this.#mayWait) return this.#pendingLength;
    const { bufferedAmount } = this.#ws;
    this.#mayWait = bufferedAmount > 0;
    return this.#pendingLength + bufferedAmount;
  }

  /** Sends one message. */
  send(data: string | Buffer, isBinary: boolean): void {
    if (this.#shared !== undefined) this.flush();
    const isPlain = isBinary !== (typeof data === "string") && !this.#compresses;
    if (isPlain && data.length <= longest) {
      this.#pending.push(data);
      this.#pendingLength += data.length;
      this.#flushLater();
      return;
    }
    this.flush();
    this.#mayWait = true;
    this.#ws.send(data, { binary: isBinary }, this.#sent);
  }

  /** Sends whole frames. */
  sendFrame(frame: SharedBytes): void {
    if (this.#pending.length > 0) this.flush();
    this.#shared = this.#shared === undefined ? frame : this.#shared.followedBy(frame);
    this.#pendingLength += frame.length;
    this.#flushLater();
  }

  /** Passes all pending messages to the connection now; drops them if the socket is closed or closing. */
  flush(): void {
    this.#isQueued = false;
    const shared = this.#shared;
    const messages = this.#pending;
    if (shared === undefined && messages.length === 0) return;
    this.#shared = undefined;
    if (messages.length > 0) this.#pending = [];
    this.#pendingLength = 0;
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    if (shared === undefined) this.#writeAll(messages);
    else this.#write(shared.bytes);
  }

  #flushLater(): void {
    if (this.#isQueued) return;
    this.#isQueued = true;
    flushAtTurnEnd(this);
  }

  #writeAll(messages: readonly (string | Buffer)[]): void {
    let end = 0;
    for (const message of messages) {
      if (end + reservedBytes(message) > scratch.length) {
        this.#write(Buffer.from(scratch.subarray(0, end)));
        end = 0;
      }
      end = putFrame(scratch, message, end);
    }
    this.#write(Buffer.from(scratch.subarray(0, end)));
  }

  /** A callback for each write would cost half as much as the write: it is for what the system does not take at once. */
  #write(frames: Buffer): void {
    const socket = this.#socket;
    socket.write(frames);
    if (socket.writableLength === 0) return;
    this.#mayWait = true;
    socket.write(nothing, this.#sent);
  }
}
