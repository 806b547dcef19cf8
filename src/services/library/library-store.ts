import { clone, create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  BookSchema,
  BookState,
  ChangeType,
  LoanSchema,
  ShelfSchema,
  type Book,
  type Shelf,
} from "../../../gen/library/v1/library_pb.ts";
import { invalidArgument } from "../../core/errors/errors.ts";
import { applyMask } from "./book-mask.ts";
import { changedMeanwhile, failedPrecondition, notFound } from "./library-errors.ts";

/** Options of a `LibraryStore`. */
export interface LibraryStoreOptions {
  /** Returns the current time. Default: the system clock. */
  readonly now: () => Date;
  /** Returns a new id, unique for each kind. Default: 1, 2, 3 … for each kind. */
  readonly newId: (kind: "shelf" | "book") => string;
}

/** A change of a book. */
export interface BookChange {
  readonly type: ChangeType;
  /** The book after the change; for a deleted book, the book before it. */
  readonly book: Book;
  /** Number of the change. */
  readonly revision: bigint;
}

/**
 * Shelves and books in memory, with the rules of lending.
 *
 * Returned objects are never modified later: a change replaces the book. All methods throw `ConnectError`s: NOT_FOUND
 * with a ResourceInfo, INVALID_ARGUMENT with a BadRequest, FAILED_PRECONDITION with a PreconditionFailure, ABORTED for
 * an outdated etag.
 */
export class LibraryStore {
  readonly #now: () => Date;
  readonly #newId: (kind: "shelf" | "book") => string;
  readonly #shelves = new Map<string, Shelf>();
  readonly #books = new Map<string, Book>();
  readonly #listeners = new Set<(change: BookChange) => void>();
  #revision = 0n;

  constructor(options: Partial<LibraryStoreOptions> = {}) {
    this.#now = options.now ?? (() => new Date());
    this.#newId = options.newId ?? counter();
  }

  /** Number of the latest change. */
  get revision(): bigint {
    return this.#revision;
  }

  /** All shelves, oldest first. */
  shelves(): Shelf[] {
    return [...this.#shelves.values()];
  }

  shelf(name: string): Shelf {
    const shelf = this.#shelves.get(name);
    if (shelf === undefined) throw notFound("library.v1.Shelf", name);
    return shelf;
  }

  createShelf(theme: string): Shelf {
    const name = `shelves/${this.#newId("shelf")}`;
    const shelf = create(ShelfSchema, {
      name,
      theme: required("shelf.theme", theme),
      createTime: this.#time(),
    });
    this.#shelves.set(name, shelf);
    return shelf;
  }

  deleteShelf(name: string): void {
    this.shelf(name);
    if (this.books(name).length > 0) {
      throw failedPrecondition("SHELF_NOT_EMPTY", name, "still holds books");
    }
    this.#shelves.delete(name);
  }

  /** The books of a shelf, or of all shelves for `shelves/-`, in the order of their creation. */
  books(parent: string): Book[] {
    if (parent === "shelves/-") return [...this.#books.values()];
    this.shelf(parent);
    return [...this.#books.values()].filter(({ name }) => isOn(parent, name));
  }

  book(name: string): Book {
    const book = this.#books.get(name);
    if (book === undefined) throw notFound("library.v1.Book", name);
    return book;
  }

  createBook(parent: string, init: Book | undefined): Book {
    this.shelf(parent);
    const blank = create(BookSchema, {
      name: `${parent}/books/${this.#newId("book")}`,
      state: BookState.AVAILABLE,
      createTime: this.#time(),
    });
    const book = applyMask(blank, init ?? blank, []);
    required("book.title", book.title);
    return this.#put(book, ChangeType.CREATED);
  }

  /** Changes the fields that `paths` names; see `applyMask`. An etag in `change` must be the current one. */
  updateBook(change: Book, paths: readonly string[]): Book {
    const before = this.book(change.name);
    expectEtag(before, change.etag);
    const book = applyMask(before, change, paths);
    required("book.title", book.title);
    return this.#put(book, ChangeType.UPDATED);
  }

  deleteBook(name: string, etag: string): void {
    const book = this.book(name);
    expectEtag(book, etag);
    if (book.state === BookState.CHECKED_OUT) throw failedPrecondition("BOOK_IS_OUT", name, "is checked out");
    this.#books.delete(name);
    this.#emit(ChangeType.DELETED, book);
  }

  checkOut(name: string, borrower: string, periodMs: number): Book {
    const book = clone(BookSchema, this.book(name));
    required("borrower", borrower);
    if (book.state === BookState.CHECKED_OUT) {
      throw failedPrecondition("BOOK_IS_OUT", name, "is checked out already");
    }
    const dueTime = timestampFromDate(new Date(this.#now().getTime() + periodMs));
    book.state = BookState.CHECKED_OUT;
    book.loan = create(LoanSchema, { borrower, dueTime });
    return this.#put(book, ChangeType.UPDATED);
  }

  takeBack(name: string): Book {
    const book = clone(BookSchema, this.book(name));
    if (book.state !== BookState.CHECKED_OUT) {
      throw failedPrecondition("BOOK_IS_IN", name, "is not checked out");
    }
    book.state = BookState.AVAILABLE;
    delete book.loan;
    return this.#put(book, ChangeType.UPDATED);
  }

  /** Calls `listener` with every later change. Returns the function that unsubscribes. */
  onChange(listener: (change: BookChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stores a book object that no other code refers to yet. */
  #put(book: Book, type: ChangeType): Book {
    book.updateTime = this.#time();
    book.etag = `r${this.#revision + 1n}`;
    this.#books.set(book.name, book);
    this.#emit(type, book);
    return book;
  }

  #emit(type: ChangeType, book: Book): void {
    this.#revision++;
    for (const listener of this.#listeners) listener({ type, book, revision: this.#revision });
  }

  #time() {
    return timestampFromDate(this.#now());
  }
}

/** Whether the book of this name is on the shelf `parent`, or on any if that is `shelves/-`. */
export function isOn(parent: string, bookName: string): boolean {
  return parent === "shelves/-" || bookName.startsWith(`${parent}/books/`);
}

function counter(): LibraryStoreOptions["newId"] {
  const last = { shelf: 0, book: 0 };
  return (kind) => String(++last[kind]);
}

function required(field: string, value: string): string {
  if (value.trim() !== "") return value;
  throw invalidArgument(`${field} is missing`, [{ field, description: "must not be empty" }]);
}

function expectEtag(book: Book, given: string): void {
  if (given !== "" && given !== book.etag) throw changedMeanwhile(book.name, book.etag, given);
}
