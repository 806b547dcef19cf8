import type { Socket } from "node:net";

/** The protocol of a connection; `silent` if it sends too few bytes in time or disconnects. */
export type Opening = "http/1.1" | "h2" | "silent";

/** The preface of every HTTP/2 connection without TLS (RFC 9113 3.4). */
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Detects the protocol of a connection by its first bytes: HTTP/2 with prior knowledge, anything else counts as
 * HTTP/1.1. The bytes are put back and can be read again.
 *
 * @param timeoutMs how long the client may need for its first bytes, in milliseconds
 */
export function readOpening(socket: Socket, timeoutMs: number, done: (opening: Opening) => void): void {
  let received: Buffer | undefined;
  const timer = setTimeout(() => finish("silent"), timeoutMs);
  const finish = (opening: Opening): void => {
    clearTimeout(timer);
    socket.off("readable", read).off("end", ended).off("close", ended);
    if (received !== undefined && opening !== "silent") socket.unshift(received);
    done(opening);
  };
  const read = (): void => {
    const chunk: Buffer | null = socket.read() as Buffer | null; // Sockets without an encoding return buffers.
    if (chunk === null) return;
    received = received === undefined ? chunk : Buffer.concat([received, chunk]);
    const length = Math.min(received.length, preface.length);
    if (!received.subarray(0, length).equals(preface.subarray(0, length))) finish("http/1.1");
    else if (length === preface.length) finish("h2");
  };
  const ended = (): void => finish("silent");
  socket.on("readable", read).once("end", ended).once("close", ended);
}
