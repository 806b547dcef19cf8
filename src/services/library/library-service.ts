import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import {
  BookSchema,
  ChangeType,
  LibraryService as descriptor,
  type BatchGetBooksRequest,
  type ChatRequest,
  type CheckoutBookRequest,
  type CreateBookRequest,
  type CreateShelfRequest,
  type DeleteBookRequest,
  type DeleteShelfRequest,
  type GetBookRequest,
  type GetShelfRequest,
  type ImportBooksRequest,
  type ListBooksRequest,
  type ReturnBookRequest,
  type UpdateBookRequest,
  type WatchBooksRequest,
} from "../../../gen/library/v1/library_pb.ts";
import { invalidArgument, toCallError } from "../../core/errors/errors.ts";
import type { Service } from "../../core/call/service.ts";
import { compileFilter, compileOrder } from "./book-query.ts";
import { ChangeFeed } from "./change-feed.ts";
import { isOn, LibraryStore, type BookChange } from "./library-store.ts";
import { readPageToken, writePageToken } from "./page-token.ts";

const defaultPageSize = 50;
const maxPageSize = 1000;
const maxBatch = 1000;

/** Default period of a loan: four weeks, in milliseconds. */
const defaultLoanMs = 28 * 24 * 3_600_000;

/** Most changes that are queued for a slow watcher. */
const maxWaitingChanges = 1000;

/** A lending library. Its contract, `library/v1/library.proto`, documents each rpc. */
export class LibraryService implements Service<typeof descriptor> {
  readonly descriptor = descriptor;
  readonly #store: LibraryStore;

  constructor(store: LibraryStore = new LibraryStore()) {
    this.#store = store;
  }

  listShelves() {
    return { shelves: this.#store.shelves() };
  }

  getShelf({ name }: GetShelfRequest) {
    return { shelf: this.#store.shelf(name) };
  }

  createShelf({ shelf }: CreateShelfRequest, context: HandlerContext) {
    const created = this.#store.createShelf(shelf?.theme ?? "");
    setCreated(context, created.name);
    return { shelf: created };
  }

  deleteShelf({ name }: DeleteShelfRequest) {
    this.#store.deleteShelf(name);
    return {};
  }

  listBooks({ parent, pageSize, pageToken, filter, orderBy }: ListBooksRequest) {
    if (pageSize < 0) {
      throw invalidArgument("page_size is negative", [
        { field: "page_size", description: "must be 0 or more" },
      ]);
    }
    const query = [parent, filter, orderBy];
    const begin = readPageToken(pageToken, query);
    const end = begin + Math.min(pageSize === 0 ? defaultPageSize : pageSize, maxPageSize);
    const books = this.#store.books(parent).filter(compileFilter(filter)).sort(compileOrder(orderBy));
    return {
      books: books.slice(begin, end),
      nextPageToken: end < books.length ? writePageToken(end, query) : "",
      totalSize: books.length,
    };
  }

  getBook({ name }: GetBookRequest, context: HandlerContext) {
    const book = this.#store.book(name);
    context.responseHeader.set("etag", `"${book.etag}"`);
    return { book };
  }

  createBook({ parent, book }: CreateBookRequest, context: HandlerContext) {
    const created = this.#store.createBook(parent, book);
    setCreated(context, created.name);
    return { book: created };
  }

  updateBook({ book = create(BookSchema), updateMask }: UpdateBookRequest) {
    return { book: this.#store.updateBook(book, updateMask?.paths ?? []) };
  }

  deleteBook({ name, etag }: DeleteBookRequest) {
    this.#store.deleteBook(name, etag);
    return {};
  }

  batchGetBooks({ parent, names }: BatchGetBooksRequest) {
    const refuse = (description: string) =>
      invalidArgument(`names: ${description}`, [{ field: "names", description }]);
    if (names.length === 0 || names.length > maxBatch) throw refuse(`1 to ${maxBatch} names are due`);
    const stray = names.find((name) => !isOn(parent, name));
    if (stray !== undefined) throw refuse(`${stray} is not on ${parent}`);
    return { books: names.map((name) => this.#store.book(name)) };
  }

  checkoutBook({ name, borrower, period }: CheckoutBookRequest) {
    const periodMs = period === undefined ? defaultLoanMs : durationMs(period);
    if (periodMs <= 0) {
      throw invalidArgument("period is not positive", [
        { field: "period", description: "must be longer than 0s" },
      ]);
    }
    return { book: this.#store.checkOut(name, borrower, periodMs) };
  }

  returnBook({ name }: ReturnBookRequest) {
    return { book: this.#store.takeBack(name) };
  }

  async *watchBooks({ parent }: WatchBooksRequest, { signal }: HandlerContext) {
    const feed = new ChangeFeed<BookChange>(maxWaitingChanges);
    const present = this.#store.books(parent);
    const { revision } = this.#store;
    const unsubscribe = this.#store.onChange((change) => {
      if (isOn(parent, change.book.name)) feed.push(change);
    });
    const close = () => feed.close();
    signal.addEventListener("abort", close, { once: true });
    try {
      for (const book of present) yield { type: ChangeType.PRESENT, book, revision };
      yield { type: ChangeType.SYNCED, revision };
      yield* feed.read();
    } finally {
      signal.removeEventListener("abort", close);
      unsubscribe();
    }
  }

  async importBooks(requests: AsyncIterable<ImportBooksRequest>) {
    const failures = [];
    let parent = "";
    let index = 0;
    for await (const request of requests) {
      if (request.parent !== "") parent = request.parent;
      try {
        this.#store.createBook(parent, request.book);
      } catch (error) {
        const { code, rawMessage: message } = toCallError(error);
        failures.push({ index, code, message });
      }
      index++;
    }
    return { imported: index - failures.length, failures };
  }

  async *chat(requests: AsyncIterable<ChatRequest>) {
    yield { text: "Welcome to the help desk. Which book are you looking for?" };
    for await (const { text } of requests) {
      const words = text.toLowerCase().split(/\s+/).filter(Boolean);
      const found = this.#store.books("shelves/-").filter(({ title, authors }) => {
        const cover = [title, ...authors].join(" ").toLowerCase();
        return words.length > 0 && words.every((word) => cover.includes(word));
      });
      const titles = found.map(({ title }) => title).join(", ");
      yield {
        text: found.length === 0 ? `We have nothing like "${text}".` : `We have: ${titles}.`,
        books: found.map(({ name }) => name),
      };
    }
  }
}

/** Adds to the REST response, which is `201 Created`, a `Location`. */
function setCreated(context: HandlerContext, name: string): void {
  context.responseHeader.set("location", `/v1/${name}`);
}
