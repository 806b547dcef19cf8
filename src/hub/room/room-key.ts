import { type ConnectError, invalidArgument } from "../../core/errors/errors.ts";

const maxRoomBytes = 255;
const control = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Checks the name of a room.
 *
 * @param field where the name comes from, for errors
 * @param isNamed whether rooms of the topic have names
 * @throws ConnectError INVALID_ARGUMENT naming the field
 */
export function checkRoom(room: string, field: string, isNamed: boolean): void {
  if (typeof room !== "string") throw wrong(field, "a text is expected");
  if (!isNamed) {
    if (room !== "") throw wrong(field, "the topic has one room, without a name");
    return;
  }
  if (room === "") throw wrong(field, "the name of a room is missing");
  if (!room.isWellFormed()) throw wrong(field, "the name of a room is text in UTF-8");
  if (control.test(room)) throw wrong(field, "the name of a room has no control characters");
  if (Buffer.byteLength(room) > maxRoomBytes) {
    throw wrong(field, `the name of a room has at most ${maxRoomBytes} bytes`);
  }
}

function wrong(field: string, description: string): ConnectError {
  return invalidArgument(`${field}: ${description}`, [{ field, description }]);
}
