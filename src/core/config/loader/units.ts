import { isIP } from "node:net";
import { Unit } from "./key-shape.ts";
import { parseIpRange } from "../ip-ranges.ts";
import { toDurationMs, toSizeBytes } from "../quantity-text.ts";
import { parseRate } from "../rate-text.ts";
import type { KeyField } from "./key-tree.ts";

/** A value as its key has it, or what was expected instead. */
export type ReadValue =
  | { readonly value: string | number | boolean }
  | { readonly expected: string; readonly hint?: string };

/** What a source says of one value. */
export interface RawValue {
  readonly value: string | number | boolean;
  /** As it was written. */
  readonly text: string;
  /** Whether a number is milliseconds or bytes. Default: false. */
  readonly isCode?: boolean | undefined;
}

/** The greatest value of a field of 32 bits. */
const most32 = 2 ** 32 - 1;

/** One value of a key, by its type, unit, choices and range. */
export function readValue(key: KeyField, raw: RawValue): ReadValue {
  const { option, type } = key;
  const choices = option?.choices ?? [];
  if (choices.includes(raw.text)) return { value: raw.text };
  const unit = option?.unit ?? Unit.UNSPECIFIED;
  if (choices.length > 0 && unit === Unit.UNSPECIFIED && !isNumberOrChoice(key)) {
    return { expected: oneOf(choices) };
  }
  const read = type === "text" ? readText(key, raw, unit) : readOther(key, raw, unit);
  return "expected" in read && choices.length > 0
    ? { ...read, expected: `${oneOf(choices)} or ${read.expected}` }
    : read;
}

/** A text that is a word or a number, such as `adaptive` or 500. */
function isNumberOrChoice({ option, type }: KeyField): boolean {
  return type === "text" && option?.min !== undefined;
}

function readText(key: KeyField, raw: RawValue, unit: Unit): ReadValue {
  if (unit === Unit.PORT || isNumberOrChoice(key)) {
    const number = readCount(key, raw, unit);
    return "value" in number ? { value: raw.text } : number;
  }
  const form = textForms[unit];
  if (typeof raw.value !== "string") {
    return form === undefined
      ? { expected: "a text", hint: "write it in quotes" }
      : { expected: form.expected };
  }
  const isGood =
    form === undefined ? !(key.option?.required === true && raw.value === "") : form.test(raw.value);
  return isGood ? { value: raw.value } : { expected: form?.expected ?? "a text that is not empty" };
}

function readOther(key: KeyField, raw: RawValue, unit: Unit): ReadValue {
  switch (key.type) {
    case "bool":
      return readBool(raw);
    case "enum":
      return readEnum(key, raw);
    case "number":
      return readNumber(key, raw, unit);
    default:
      return readCount(key, raw, unit);
  }
}

function readBool({ value, text }: RawValue): ReadValue {
  if (typeof value === "boolean") return { value };
  if (text === "true" || text === "false") return { value: text === "true" };
  const isWord = /^(?:yes|no|on|off|y|n|0|1)$/i.test(text);
  return { expected: "true or false", ...(isWord ? { hint: "write true or false" } : {}) };
}

function readEnum({ numbers }: KeyField, { text }: RawValue): ReadValue {
  const found = Object.hasOwn(numbers, text) ? numbers[text] : undefined;
  return found === undefined ? { expected: oneOf(Object.keys(numbers)) } : { value: found };
}

function readNumber(key: KeyField, { value, text }: RawValue, unit: Unit): ReadValue {
  const number = typeof value === "number" ? value : /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : NaN;
  const least = key.option?.min ?? (unit === Unit.RATIO ? 0 : -Infinity);
  const most = key.option?.max ?? (unit === Unit.RATIO ? 1 : Infinity);
  if (number >= least && number <= most && Number.isFinite(number)) return { value: number };
  return { expected: range("a number", least, most) };
}

function readCount(key: KeyField, raw: RawValue, unit: Unit): ReadValue {
  const least = key.option?.min ?? (unit === Unit.SIZE ? 1 : 0);
  const most = key.option?.max ?? (unit === Unit.PORT ? 65_535 : most32);
  if (unit === Unit.DURATION) return readQuantity(raw, durationForm, least, most);
  if (unit === Unit.SIZE) return readQuantity(raw, sizeForm, least, most);
  const number =
    typeof raw.value === "number" ? raw.value : /^\d{1,15}$/.test(raw.text) ? Number(raw.text) : NaN;
  if (Number.isInteger(number) && number >= least && number <= most) return { value: number };
  const name = unit === Unit.PORT ? "a port" : "a whole number";
  return { expected: range(name, least, most === most32 ? Infinity : most) };
}

interface QuantityForm {
  readonly name: string;
  /** @throws Error for a text of another form */
  read(text: string): number;
  /** Whether a number without a unit is one. */
  isBare(value: number): boolean;
  show(value: number): string;
}

const durationForm: QuantityForm = {
  name: 'a duration such as "30s"',
  read: toDurationMs,
  isBare: (value) => value === 0,
  show: (value) => (value % 1_000 === 0 ? `${value / 1_000}s` : `${value}ms`),
};

const sizeForm: QuantityForm = {
  name: 'a size such as "4MiB"',
  read: (text) => (text === "0" ? 0 : toSizeBytes(text)),
  isBare: () => true,
  show: (value) => `${value} bytes`,
};

function readQuantity(raw: RawValue, form: QuantityForm, least: number, most: number): ReadValue {
  const { value, text, isCode = false } = raw;
  const isNumber = typeof value === "number";
  let quantity = NaN;
  if (isNumber) {
    if (!isCode && !form.isBare(value)) {
      return { expected: form.name, hint: "a duration needs its unit" };
    }
    quantity = value;
  } else if (typeof value === "string") {
    try {
      quantity = form.read(text);
    } catch {
      return { expected: form.name };
    }
  }
  if (!Number.isFinite(quantity) || (isNumber && !Number.isInteger(quantity))) return { expected: form.name };
  if (quantity < least) return { expected: `${form.name}, at least ${form.show(least)}` };
  if (quantity > most) return { expected: `${form.name}, at most ${form.show(most)}` };
  return { value: Math.round(quantity) };
}

interface TextForm {
  readonly expected: string;
  test(text: string): boolean;
}

const textForms: Readonly<Partial<Record<Unit, TextForm>>> = {
  [Unit.RATE]: { expected: 'a rate such as "100/1m", "5/hour" or "1000/month"', test: isRate },
  [Unit.HOST]: {
    expected: "a host name or an address, without scheme and port",
    test: (text) => /^unix:.|^fd:\d+$/s.test(text) || isIP(text) !== 0 || /^[^:/\s[\]]+$/.test(text),
  },
  [Unit.FILE]: { expected: "the path of a file", test: isPath },
  [Unit.FOLDER]: { expected: "the path of a folder", test: isPath },
  [Unit.URL]: { expected: "a URL", test: isUrl },
  [Unit.CIDR]: {
    expected: 'an address or a range such as "10.0.0.0/8"',
    test: (text) => parseIpRange(text) !== undefined,
  },
  [Unit.PATH]: { expected: "a path with a leading slash", test: (text) => /^\/\S*$/.test(text) },
};

function isPath(text: string): boolean {
  return text !== "" && !text.includes("\0");
}

function isRate(text: string): boolean {
  try {
    parseRate(text);
    return true;
  } catch {
    return false;
  }
}

function isUrl(text: string): boolean {
  if (/\s/.test(text)) return false;
  const ofFirstHost = text.replace(/,[\w.,:[\]-]+/, ""); // kafka://a:9092,b:9092
  return /^(?:[\w.-]+|\[[\da-f:.]+\]):\d{1,5}$/i.test(text) || URL.canParse(ofFirstHost);
}

function oneOf(words: readonly string[]): string {
  const last = words.at(-1) ?? "";
  return words.length < 2 ? `"${last}"` : `${words.slice(0, -1).join(", ")} or ${last}`;
}

function range(name: string, least: number, most: number): string {
  if (Number.isFinite(least) && Number.isFinite(most)) return `${name} from ${least} to ${most}`;
  if (Number.isFinite(most)) return `${name}, at most ${most}`;
  return Number.isFinite(least) && least !== 0 ? `${name}, at least ${least}` : name;
}
