/** The part of WebSocket (RFC 6455) that a load of short messages needs. */

/** The request by which a client opens a socket. */
export function upgradeRequest(target: string): Buffer {
  return Buffer.from(
    `GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
  );
}

/** Up to this length a frame says it in one byte. */
const shortest = 125;

/** A text frame of a client, masked by zeros. */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  if (payload.length > 0xffff) throw new Error("longer frames are not needed here");
  const isShort = payload.length <= shortest;
  const head = Buffer.alloc(isShort ? 6 : 8);
  head.writeUInt8(0x81, 0);
  head.writeUInt8(0x80 | (isShort ? payload.length : shortest + 1), 1);
  if (!isShort) head.writeUInt16BE(payload.length, 2);
  return Buffer.concat([head, payload]);
}

/** Frames of this kind and above are pings and the like, in the first byte of a frame. */
const control = 0x08;

/** Splits what a server sends behind the handshake into frames; pings are not answered. */
export class ServerFrames {
  readonly #visit: (payload: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);

  /** @param visit called with the payload of each message */
  constructor(visit: (payload: Buffer) => void) {
    this.#visit = visit;
  }

  read(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (at + 2 <= bytes.length) {
      const said = bytes.readUInt8(at + 1);
      if (said > shortest + 1) throw new Error("longer frames are not expected here");
      const begin = at + (said <= shortest ? 2 : 4);
      if (begin > bytes.length) break;
      const end = begin + (said <= shortest ? said : bytes.readUInt16BE(at + 2));
      if (end > bytes.length) break;
      if ((bytes.readUInt8(at) & control) === 0) this.#visit(bytes.subarray(begin, end));
      at = end;
    }
    this.#rest = Buffer.from(bytes.subarray(at));
  }
}
