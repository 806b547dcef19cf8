/** The messages that are published in the rooms of the benchmarks: 100 bytes of JSON each. */
export interface Line {
  readonly id: string;
  readonly text: string;
}

/** The path at which clients follow them over HTTP. */
export const linesTarget = "/bench/v1/rooms/hall/lines:follow";

const filler = "a line of a room which is as long as the others";

/** The message of a number from 1 on; all have the same length. */
export function lineOf(number: number): Line {
  const digits = String(number).padStart(10, "0");
  return { id: `00000000-0000-4000-8000-00${digits}`, text: `${filler.slice(0, 34)} ${digits}` };
}
