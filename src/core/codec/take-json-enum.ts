import type { DescEnum } from "@bufbuild/protobuf";
import { enumNumbers, isNullValue } from "./enum-names.ts";
import { irregular, seen } from "./scratch.ts";
import { takeInt32 } from "./take-json-numbers.ts";
import { plainByte, takeNull } from "./take-json.ts";

// All functions take from `pos` of `from`, which is valid UTF-8, and store the position behind what they took in
// `seen.pos`. They throw `irregular` for whatever is not of the plain kind.

const quote = 0x22;

/** The names of an enum by a hash of their bytes, and the numbers that are allowed. */
export interface EnumNames {
  readonly byHash: ReadonlyMap<number, { readonly name: Uint8Array; readonly number: number }>;
  /** Undefined for open enums, where all numbers are allowed. */
  readonly numbers: ReadonlySet<number> | undefined;
  readonly isNull: boolean;
}

/** The names of an enum. Names of which two have one hash are left out, so that they are irregular. */
export function enumNames(desc: DescEnum): EnumNames {
  const isNull = isNullValue(desc);
  const numbers = desc.open || isNull ? undefined : new Set(desc.values.map((value) => value.number));
  const byHash = new Map<number, { readonly name: Uint8Array; readonly number: number }>();
  const twice = new Set<number>();
  for (const [text, number] of enumNumbers(desc)) {
    const name = Buffer.from(text);
    let hash = 0;
    for (const code of name) hash = (Math.imul(hash, 31) + code) | 0;
    if (byHash.has(hash)) twice.add(hash);
    byHash.set(hash, { name, number });
  }
  for (const hash of twice) byHash.delete(hash);
  return { byHash, numbers, isNull };
}

/** Takes an enum value: a name, or a number that is allowed. */
export function takeEnum(from: Uint8Array, pos: number, names: EnumNames): number {
  const first = from[pos] ?? 0;
  if (first !== quote) {
    if (first === 0x6e && names.isNull) {
      seen.pos = takeNull(from, pos);
      return 0;
    }
    const number = takeInt32(from, pos);
    if (names.numbers !== undefined && !names.numbers.has(number)) throw irregular;
    return number;
  }
  const start = pos + 1;
  let at = start;
  let hash = 0;
  let code = from[at] ?? 0;
  while (plainByte[code] === 1) {
    hash = (Math.imul(hash, 31) + code) | 0;
    code = from[++at] ?? 0;
  }
  const found = names.byHash.get(hash);
  if (code !== quote || found === undefined || found.name.length !== at - start) throw irregular;
  for (let i = start; i < at; i++) if (from[i] !== found.name[i - start]) throw irregular;
  seen.pos = at + 1;
  return found.number;
}
