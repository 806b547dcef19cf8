import { timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import { BookStateSchema, type Book } from "../../../gen/library/v1/library_pb.ts";
import { invalidArgument, type ConnectError } from "../../core/errors/errors.ts";

/** Whether a book matches a filter. */
export type BookFilter = (book: Book) => boolean;

/** A comparison of two books, as for `Array.sort`. */
export type BookOrder = (a: Book, b: Book) => number;

/** One term of a filter: field, `:` for contains or `=` for equals, value with or without quotes. */
const term = /^\s*([a-z_]+(?:\.[\w-]+)?)\s*([:=])\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))\s*/;

/**
 * Compiles the `filter` of `ListBooksRequest`.
 *
 * @throws ConnectError INVALID_ARGUMENT that names the invalid part of the filter.
 */
export function compileFilter(filter: string): BookFilter {
  let rest = filter.trim();
  if (rest === "") return () => true;
  const terms: BookFilter[] = [];
  for (;;) {
    const match = term.exec(rest);
    if (match === null) throw refuse("filter", `a term such as title:dune is due at ${JSON.stringify(rest)}`);
    const [whole, field = "", operator = "", quoted, bare] = match;
    terms.push(compileTerm(field, operator, quoted?.replaceAll(/\\(.)/g, "$1") ?? bare ?? ""));
    rest = rest.slice(whole.length);
    if (rest === "") break;
    const and = /^AND\s+/.exec(rest);
    if (and === null) throw refuse("filter", `AND is due at ${JSON.stringify(rest)}`);
    rest = rest.slice(and[0].length);
  }
  return (book) => terms.every((matches) => matches(book));
}

/**
 * Compiles the `order_by` of `ListBooksRequest`; an empty one orders by name.
 *
 * @throws ConnectError INVALID_ARGUMENT for a field by which books cannot be ordered.
 */
export function compileOrder(orderBy: string): BookOrder {
  const keys = orderBy.trim() === "" ? [] : orderBy.split(",").map(compileKey);
  return (a, b) => {
    for (const compare of keys) {
      const result = compare(a, b);
      if (result !== 0) return result;
    }
    return compareText(a.name, b.name);
  };
}

function compileTerm(field: string, operator: string, value: string): BookFilter {
  const lower = value.toLowerCase();
  const contains = (text: string): boolean => text.toLowerCase().includes(lower);
  const matches = operator === ":" ? contains : (text: string): boolean => text === value;
  if (field === "title") return (book) => matches(book.title);
  if (field === "author") return (book) => book.authors.some(matches);
  if (operator === "=") {
    if (field === "isbn") return (book) => String(book.isbn) === value;
    if (field === "state") {
      const state = BookStateSchema.values.find(
        ({ name, localName }) => name === value || localName === value,
      );
      if (state === undefined) throw refuse("filter", "state is AVAILABLE or CHECKED_OUT");
      return (book) => book.state === state.number;
    }
    if (field.startsWith("labels.")) {
      const key = field.slice("labels.".length);
      return ({ labels }) => Object.hasOwn(labels, key) && labels[key] === value;
    }
  }
  throw refuse(
    "filter",
    `${field}${operator} is not a term; there are title, author, isbn, state and labels`,
  );
}

function compileKey(text: string): BookOrder {
  const match = /^\s*(\w+)(?:\s+(asc|desc))?\s*$/.exec(text);
  const compare = match === null ? undefined : orders.get(match[1] ?? "");
  if (match === null || compare === undefined) {
    throw refuse("order_by", `${JSON.stringify(text.trim())} is not one of ${[...orders.keys()].join(", ")}`);
  }
  return match[2] === "desc" ? (a, b) => compare(b, a) : compare;
}

const orders: ReadonlyMap<string, BookOrder> = new Map<string, BookOrder>([
  ["name", (a, b) => compareText(a.name, b.name)],
  ["title", (a, b) => compareText(a.title, b.title)],
  ["create_time", (a, b) => compareTime(a.createTime, b.createTime)],
  ["update_time", (a, b) => compareTime(a.updateTime, b.updateTime)],
]);

/** Alphabetical, but numbers in names are compared by value: `books/9` comes before `books/10`. */
const collator = new Intl.Collator("en", { numeric: true });

function compareText(a: string, b: string): number {
  return collator.compare(a, b);
}

function compareTime(a: Timestamp | undefined, b: Timestamp | undefined): number {
  return (a === undefined ? 0 : timestampMs(a)) - (b === undefined ? 0 : timestampMs(b));
}

function refuse(field: string, description: string): ConnectError {
  return invalidArgument(`bad ${field}: ${description}`, [{ field, description }]);
}
