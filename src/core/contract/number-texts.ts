/** Patterns of texts that are numbers; each matches what is taken in plain digits, and nothing that is refused. */

const int32Text = `-?${upTo("2147483647")}|-2147483648`;
const int64Text = `-?${upTo("9223372036854775807")}|-9223372036854775808`;
const plainTexts = {
  int32: int32Text,
  uint32: upTo("4294967295"),
  int64: int64Text,
  uint64: upTo("18446744073709551615"),
} as const;

/** The pattern of an integer as a text. */
export function integerPattern(kind: keyof typeof plainTexts): string {
  return `^(?:${plainTexts[kind]})$`;
}

/** The pattern of a floating-point number as a text, with as many digits as cannot leave its range. */
export function floatPattern(kind: "float" | "double"): string {
  const [whole, exponent] = kind === "float" ? ["0,18", "[0-9]"] : ["0,99", "[0-9]{1,2}"];
  const digits = String.raw`-?(?:0|[1-9][0-9]{${whole}})(?:\.[0-9]{1,99})?(?:[eE](?:\+?${exponent}|-[0-9]{1,2}))?`;
  return `^(?:NaN|-?Infinity|${digits})$`;
}

/** `true` and `false` in any letters, and their digits. */
export const booleanPattern = "^(?:[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[01])$";

/** A pattern of the integers from 0 to the largest, without leading zeros. */
function upTo(largest: string): string {
  const length = largest.length - 1;
  const choices = ["0", `[1-9][0-9]{0,${length - 1}}`];
  for (const [at, digit] of largest.split("").entries()) {
    const least = at === 0 ? 1 : 0;
    const most = Number(digit) - 1;
    if (most >= least) choices.push(`${largest.slice(0, at)}${range(least, most)}${repeated(length - at)}`);
  }
  return `(?:${[...choices, largest].join("|")})`;
}

function range(least: number, most: number): string {
  return least === most ? String(least) : `[${least}-${most}]`;
}

function repeated(times: number): string {
  return times === 0 ? "" : `[0-9]{${times}}`;
}
