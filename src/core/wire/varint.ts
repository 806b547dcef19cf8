/** How many bytes a whole number that is not negative takes as a varint of protobuf. */
export function varintBytes(value: number): number {
  let count = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) count++;
  return count;
}

/** Writes a whole number that is not negative as a varint of protobuf. @returns where it ends */
export function writeVarint(value: number, bytes: Uint8Array, at: number): number {
  let rest = value;
  let end = at;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes[end++] = (rest % 0x80) | 0x80;
  bytes[end++] = rest;
  return end;
}
