import { CompressionError } from "./compression-error.ts";

/**
 * The Huffman code of RFC 7541 Appendix B. It is canonical, so that the lengths say all: codes are numbered by length,
 * then by symbol.
 */

/** Bits of the code of every byte, and last of EOS. */
const lengths: readonly number[] = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28],
  ...[28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6],
  ...[6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7],
  ...[7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7],
  ...[7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24],
  ...[22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24],
  ...[21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23],
  ...[22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27],
  ...[20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28],
  ...[27, 27, 27, 27, 27, 26, 30],
];

const eos = 256;

/** Marks of a step of the decoder beside the next state, which has the lowest 9 bits. */
const emits = 1 << 9;
const fails = 1 << 10;
const symbolShift = 11;

interface Tables {
  readonly codes: readonly number[];
  /** The step for a state and the next four bits. A state is an inner node of the code's tree. */
  readonly steps: Int32Array;
  /** Whether a string may end in a state: at most 7 bits into a code, all of them ones. */
  readonly ends: Uint8Array;
}

let made: Tables | undefined;

/** The tables are made at the first use: most programs of one language never see a Huffman string. */
function tables(): Tables {
  return (made ??= makeTables());
}

function makeTables(): Tables {
  const order = lengths.map((_, symbol) => symbol);
  order.sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  const codes: number[] = lengths.map(() => 0);
  const children: Children[] = [[0, 0]];
  let code = 0;
  let bits = 0;
  for (const symbol of order) {
    const length = lengths[symbol] ?? 0;
    code <<= length - bits;
    bits = length;
    codes[symbol] = code;
    addLeaf(children, symbol, code++, length);
  }
  return { codes, steps: stepsOf(children), ends: endsOf(children) };
}

/** Children of an inner node: a further inner node, `-1 - symbol`, or 0 while there is none. */
type Children = [number, number];

function addLeaf(children: Children[], symbol: number, code: number, length: number): void {
  let node = 0;
  for (let bit = length - 1; bit > 0; bit--) {
    const pair = children[node] ?? [0, 0];
    const side = sideOf(code, bit);
    if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
    node = pair[side];
  }
  const pair = children[node] ?? [0, 0];
  pair[sideOf(code, 0)] = -1 - symbol;
}

function sideOf(code: number, bit: number): 0 | 1 {
  return ((code >> bit) & 1) as 0 | 1; // One bit.
}

function endsOf(children: readonly Children[]): Uint8Array {
  const ends = new Uint8Array(children.length);
  let node = 0;
  for (let ones = 0; ones <= 7; ones++) {
    ends[node] = 1;
    node = children[node]?.[1] ?? 0;
  }
  return ends;
}

function stepsOf(children: readonly Children[]): Int32Array {
  const steps = new Int32Array(children.length * 16);
  for (let state = 0; state < children.length; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let step = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const child = children[node]?.[sideOf(nibble, bit)] ?? 0;
        node = child;
        if (child >= 0) continue;
        const symbol = -1 - child;
        if (symbol === eos) step |= fails;
        else step |= emits | (symbol << symbolShift); // No code is shorter than five bits: one symbol a step at most.
        node = 0;
      }
      steps[state * 16 + nibble] = step | node;
    }
  }
  return steps;
}

/** The decoded bytes; grows, and is used by one call at a time. */
let scratch = Buffer.alloc(0);

/**
 * Decodes the Huffman string `bytes[start, end)`, a character for each byte.
 *
 * @throws CompressionError for EOS, and for padding that is longer than 7 bits or not of ones.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  const { steps, ends } = tables();
  const most = Math.ceil(((end - start) * 8) / 5);
  if (scratch.length < most) scratch = Buffer.allocUnsafeSlow(Math.max(most, 256));
  const into = scratch;
  let length = 0;
  let state = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    const high = steps[state * 16 + (byte >> 4)] ?? fails;
    if ((high & emits) !== 0) into[length++] = high >> symbolShift;
    const low = steps[(high & 0x1ff) * 16 + (byte & 15)] ?? fails;
    if ((low & emits) !== 0) into[length++] = low >> symbolShift;
    if (((high | low) & fails) !== 0) throw new CompressionError("EOS in a Huffman string");
    state = low & 0x1ff;
  }
  if (ends[state] !== 1) throw new CompressionError("wrong padding of a Huffman string");
  const text = into.toString("latin1", 0, length);
  if (scratch.length > 65_536) scratch = Buffer.alloc(0);
  return text;
}

/** The bytes that `text` needs, whose characters are bytes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i)] ?? 0;
  return (bits + 7) >> 3;
}

/** Writes `text` at `at`; returns the offset after it. */
export function encodeHuffman(text: string, into: Uint8Array, at: number): number {
  const { codes } = tables();
  let end = at;
  /** Fewer than 8 bits that are not written yet. */
  let rest = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    let left = lengths[symbol] ?? 0;
    const code = codes[symbol] ?? 0;
    while (left > 0) {
      const taken = Math.min(8 - bits, left);
      left -= taken;
      rest = (rest << taken) | ((code >>> left) & ((1 << taken) - 1));
      bits += taken;
      if (bits < 8) continue;
      into[end++] = rest;
      rest = 0;
      bits = 0;
    }
  }
  if (bits > 0) into[end++] = (rest << (8 - bits)) | (0xff >> bits);
  return end;
}
