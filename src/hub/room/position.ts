import { createHash, randomFillSync } from "node:crypto";

/** A place in what was published in a room: behind the publication of the number `offset`. */
export interface Position {
  /** Eight letters and digits: the room's stream, another one whenever it has begun anew. */
  readonly epoch: string;
  /** Grows with each publication; 0 before the first one. */
  readonly offset: number;
}

const form = /^([0-9A-Za-z]{8})\.(0|[1-9]\d{0,15})$/;
const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** `EPOCH.OFFSET`. */
export function formatPosition({ epoch, offset }: Position): string {
  return `${epoch}.${offset}`;
}

/** The position of a text; undefined where it is none. */
export function parsePosition(text: string): Position | undefined {
  const [, epoch, digits] = form.exec(text) ?? [];
  const offset = Number(digits);
  return epoch === undefined || !Number.isSafeInteger(offset) ? undefined : { epoch, offset };
}

/** Eight letters and digits that were not given out before: an epoch, or the id of a node. */
export function randomName(): string {
  let name = "";
  while (name.length < nameLength) {
    const byte = randomByte();
    // Bytes above are left out, so that all letters are alike.
    if (byte < letters.length * 4) name += letters[byte % letters.length];
  }
  return name;
}

const nameLength = 8;

/** Random bytes in store, as each publication may need a name: to ask for a few costs as much as for many. */
const store = Buffer.allocUnsafeSlow(4_096);
let used = store.length;

function randomByte(): number {
  if (used === store.length) {
    randomFillSync(store);
    used = 0;
  }
  return store.readUInt8(used++);
}

/** The order of one room. */
const alone: readonly number[] = Object.freeze([0]);

/** The places of a call in its rooms as one text: the position alone for one room. */
export class PositionVector {
  /** Rooms in the order in which their positions stand. */
  readonly #order: readonly number[];
  readonly #digest: string;

  /** @param rooms names, each once */
  constructor(rooms: readonly string[]) {
    if (rooms.length === 1) {
      this.#order = alone;
      this.#digest = "";
      return;
    }
    const places = rooms.map((_, place) => place);
    this.#order = places.sort((a, b) => ((rooms[a] ?? "") < (rooms[b] ?? "") ? -1 : 1));
    const sorted = this.#order.map((place) => rooms[place]);
    this.#digest = createHash("sha256").update(JSON.stringify(sorted)).digest("base64url").slice(0, 6);
  }

  /** @param positions in the order of the rooms */
  format(positions: readonly Position[]): string {
    const [first] = positions;
    if (this.#order === alone && first !== undefined) return formatPosition(first);
    const texts = this.#order.map((place) => {
      const position = positions[place];
      return position === undefined ? "" : formatPosition(position); // There is one for each room.
    });
    return this.#digest === "" ? (texts[0] ?? "") : `${this.#digest}:${texts.join("~")}`;
  }

  /** The positions of a text in the order of the rooms; undefined where it is of other rooms, or of none. */
  parse(text: string): readonly Position[] | undefined {
    let rest = text;
    if (this.#digest !== "") {
      if (!text.startsWith(`${this.#digest}:`)) return undefined;
      rest = text.slice(this.#digest.length + 1);
    }
    const texts = this.#digest === "" ? [rest] : rest.split("~", this.#order.length + 1);
    if (texts.length !== this.#order.length) return undefined;
    const positions: Position[] = [];
    for (const [index, place] of this.#order.entries()) {
      const position = parsePosition(texts[index] ?? "");
      if (position === undefined) return undefined;
      positions[place] = position;
    }
    return positions;
  }
}
