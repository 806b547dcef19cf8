/** What is known of the name of a header. */
export interface HeaderTexts {
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly lowerCase: string;
  /** The value that was read last, and its text: those of many messages are the same. */
  value: Uint8Array;
  text: string;
  /** How often in a row the value was another one. */
  misses: number;
}

/** By the lengths of the names, so that few are compared. */
const known: HeaderTexts[][] = [];
/** Senders choose the names of extensions and headers: so many are kept of one length. */
const mostOfLength = 20;
/** A longer value is kept by none, as its bytes are a part of a whole answer. */
const longestKept = 128;
/** The value of a header that is another one so often, such as an id, is kept from then on now and then alone. */
const mostMisses = 8;
const lookAgain = 64;
const nothing = new Uint8Array(0);

/** The name of a header, of which the text is made once. */
export function headerTextsOf(bytes: Buffer): HeaderTexts {
  const same = (known[bytes.length] ??= []);
  for (const texts of same) if (isEqual(texts.bytes, bytes)) return texts;
  const name = bytes.toString();
  const made = {
    bytes: new Uint8Array(bytes),
    name,
    lowerCase: name.toLowerCase(),
    value: nothing,
    text: "",
    misses: 0,
  };
  if (bytes.length <= longestKept && same.length < mostOfLength) same.push(made);
  return made;
}

/** The text of a value of a header. */
export function valueTextOf(texts: HeaderTexts, bytes: Buffer): string {
  if (isEqual(texts.value, bytes)) {
    texts.misses = 0;
    return texts.text;
  }
  const text = bytes.toString();
  const isKept = texts.misses < mostMisses || texts.misses % lookAgain === 0;
  texts.misses++;
  if (!isKept || bytes.length > longestKept) return text;
  texts.value = new Uint8Array(bytes);
  texts.text = text;
  return text;
}

function isEqual(some: Uint8Array, other: Uint8Array): boolean {
  const { length } = some;
  if (length !== other.length) return false;
  // From the end on: ids and times begin alike.
  for (let at = length - 1; at >= 0; at--) if (some[at] !== other[at]) return false;
  return true;
}
