import type { Socket } from "node:net";

/**
 * Gives a connection to another reader with every byte that was read of it and not used.
 *
 * @param socket nothing listens to its data any more
 * @param rest the bytes that the reader begins with
 * @param take adds the listeners of the reader
 */
export function handBack(socket: Socket, rest: Buffer, take: (socket: Socket) => void): void {
  socket.pause(); // A stream that flows would not look for bytes that were put back.
  if (rest.length > 0) socket.unshift(rest);
  take(socket);
  socket.resume();
}
