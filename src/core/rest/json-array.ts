import { badReply } from "./rest-error.ts";
import { isBlank, type Splitter, splitLines } from "./json-lines.ts";
import { Pieces } from "./pieces.ts";

const [comma, quote, backslash] = [0x2c, 0x22, 0x5c];
const [openArray, closeArray, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * A text for each element of a JSON array as it arrives; of lines, where the first byte begins no array. Which one it
 * is, only the first byte says: several servers send lines as `application/json`.
 */
export function splitArrayOrLines(maxBytes: number): Splitter {
  let chosen: Splitter | undefined;
  return {
    *push(chunk) {
      if (chosen === undefined) {
        const first = chunk.find((byte) => byte > 0x20);
        if (first === undefined) return;
        chosen = first === openArray ? splitArray(maxBytes) : splitLines(maxBytes);
      }
      yield* chosen.push(chunk);
    },
    finish: () => chosen?.finish(),
  };
}

function splitArray(maxBytes: number): Splitter {
  const pieces = new Pieces(maxBytes);
  /** Open brackets; 0 before and after the array. */
  let depth = 0;
  let isText = false;
  let isEscaped = false;
  return {
    *push(chunk) {
      let from = 0;
      for (let at = 0; at < chunk.length; at++) {
        const byte = chunk[at];
        if (isText) {
          if (isEscaped) isEscaped = false;
          else if (byte === backslash) isEscaped = true;
          else if (byte === quote) isText = false;
        } else if (byte === quote) isText = true;
        else if (byte === openArray || byte === openObject) {
          if (depth++ === 0) from = at + 1;
        } else if (byte === closeArray || byte === closeObject) depth--;
        if (isText || !((byte === comma && depth === 1) || (byte === closeArray && depth === 0))) continue;
        pieces.add(chunk.subarray(from, at));
        from = at + 1;
        const element = pieces.take();
        if (!isBlank(element)) yield element;
      }
      pieces.add(chunk.subarray(from));
    },
    finish() {
      if (depth !== 0) throw badReply("is an array that does not end");
      const rest = pieces.take();
      return isBlank(rest) ? undefined : rest;
    },
  };
}
