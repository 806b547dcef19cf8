import type { Socket } from "node:net";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";

/** Longer messages are written separately. */
const longest = 4096;

/** A buffer for frames. All senders share it: it contains nothing between calls of their functions. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024);

/** The largest head of a frame with a short message. */
const headBytes = 4;

/**
 * Sends messages as frames. The short ones of one turn of the event loop are sent at its end in one write: separate
 * writes would cost more than all other work. Compressed and long ones are sent by the engine, in order with the
 * others.
 *
 * Control frames that the engine sends itself, pings and pongs, may overtake messages of the same turn (RFC 6455
 * section 5.4 allows them anywhere between messages); call `flush` before a close frame.
 */
export class FrameSender {
  readonly #ws: PeerAwareWebSocket;
  readonly #socket: Socket;
  readonly #sent: () => void;
  readonly #compresses: boolean;
  /** Text messages, and binary ones as bytes. */
  #pending: (string | Buffer)[] = [];
  #pendingLength = 0;

  /**
   * @param socket the connection under `ws`
   * @param sent called when the operating system has received some bytes
   */
  constructor(ws: PeerAwareWebSocket, socket: Socket, sent: () => void) {
    this.#ws = ws;
    this.#socket = socket;
    this.#sent = sent;
    this.#compresses = ws.extensions !== "";
  }

  /** The approximate number of bytes that the operating system has not received yet. */
  get waitingBytes(): number {
    return this.#pendingLength + this.#ws.bufferedAmount;
  }

  /** Sends one message. */
  send(data: string | Buffer, isBinary: boolean): void {
    const isPlain = isBinary !== (typeof data === "string") && !this.#compresses;
    if (isPlain && data.length <= longest) {
      if (this.#pending.push(data) === 1) process.nextTick(flush, this);
      this.#pendingLength += data.length;
      return;
    }
    this.flush();
    this.#ws.send(data, { binary: isBinary }, this.#sent);
  }

  /** Passes all pending messages to the connection now; drops them if the socket is closed or closing. */
  flush(): void {
    const messages = this.#pending;
    if (messages.length === 0) return;
    this.#pending = [];
    this.#pendingLength = 0;
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    let end = 0;
    for (const message of messages) {
      if (end + headBytes + 3 * message.length > scratch.length) {
        this.#write(end);
        end = 0;
      }
      end = putFrame(message, end);
    }
    this.#write(end);
  }

  #write(end: number): void {
    const frames = Buffer.allocUnsafe(end);
    scratch.copy(frames, 0, 0, end);
    this.#socket.write(frames, this.#sent);
  }
}

function flush(sender: FrameSender): void {
  sender.flush();
}

/** Writes a final, unmasked frame (RFC 6455 section 5.2) at `start`; returns its end. */
function putFrame(message: string | Buffer, start: number): number {
  const isText = typeof message === "string";
  let begin = start + (message.length > 125 ? 4 : 2);
  const length = isText ? scratch.write(message, begin) : message.copy(scratch, begin);
  if (length > 125 && begin === start + 2) {
    scratch.copyWithin(start + 4, begin, begin + length); // Characters of several bytes made the head longer.
    begin = start + 4;
  }
  scratch[start] = isText ? 0x81 : 0x82;
  if (length > 125) {
    scratch[start + 1] = 126;
    scratch.writeUInt16BE(length, start + 2);
  } else {
    scratch[start + 1] = length;
  }
  return begin + length;
}
