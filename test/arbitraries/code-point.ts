import fc from "fast-check";

const surrogates = { first: 0xd800, count: 0x800 };

/**
 * Any character but half of a surrogate pair, as a unit of `fc.string`.
 *
 * The same as fast-check's own unit `"binary"`, which builds a map of all of Unicode first: seconds in every process.
 */
export const codePoint: fc.Arbitrary<string> = fc.nat(0x10ffff - surrogates.count).map(
  (index) => String.fromCodePoint(index < surrogates.first ? index : index + surrogates.count),
  (text: unknown) => {
    const code = typeof text === "string" ? text.codePointAt(0) : undefined;
    if (code === undefined || text !== String.fromCodePoint(code)) throw new Error("no single character");
    return code < surrogates.first ? code : code - surrogates.count;
  },
);
