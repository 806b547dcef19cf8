import type { Socket } from "node:net";
import type { PeerAwareWebSocket } from "../../fastify/peer-aware-web-socket.ts";

/** Longer messages are worth a write of their own. */
const longest = 4096;

/** Room for frames. All senders use it, one after the other: it is empty when none of their functions runs. */
const room = Buffer.allocUnsafeSlow(64 * 1024);

/** The largest head of a frame with a short message. */
const headBytes = 4;

/**
 * Sends messages as frames. The short ones of one turn of the event loop leave at its end in one piece: a write for each
 * costs more than all the rest of them. Compressed ones, and the long ones, leave by the engine, in order with the others.
 *
 * Frames that the engine sends by itself, pings and pongs, may pass messages of the same turn (RFC 6455 section 5.4 lets
 * them stand anywhere between); `flush` comes before a close frame.
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
   * @param sent hears when the connection has taken something
   */
  constructor(ws: PeerAwareWebSocket, socket: Socket, sent: () => void) {
    this.#ws = ws;
    this.#socket = socket;
    this.#sent = sent;
    this.#compresses = ws.extensions !== "";
  }

  /** About how many bytes were sent and not yet taken by the system. */
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

  /** Hands everything over to the connection, now; nothing if the socket is closed or closing. */
  flush(): void {
    const messages = this.#pending;
    if (messages.length === 0) return;
    this.#pending = [];
    this.#pendingLength = 0;
    if (this.#ws.readyState !== this.#ws.OPEN) return;
    let end = 0;
    for (const message of messages) {
      if (end + headBytes + 3 * message.length > room.length) {
        this.#write(end);
        end = 0;
      }
      end = putFrame(message, end);
    }
    this.#write(end);
  }

  #write(end: number): void {
    const frames = Buffer.allocUnsafe(end);
    room.copy(frames, 0, 0, end);
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
  const length = isText ? room.write(message, begin) : message.copy(room, begin);
  if (length > 125 && begin === start + 2) {
    room.copyWithin(start + 4, begin, begin + length); // Characters of several bytes.
    begin = start + 4;
  }
  room[start] = isText ? 0x81 : 0x82;
  if (length > 125) {
    room[start + 1] = 126;
    room.writeUInt16BE(length, start + 2);
  } else {
    room[start + 1] = length;
  }
  return begin + length;
}
