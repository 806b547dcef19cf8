import { create } from "@bufbuild/protobuf";
import { BookSchema } from "../../../gen/library/v1/library_pb.ts";
import { LibraryStore } from "./library-store.ts";

/** Adds two shelves and a few books to a store, as data for the examples. */
export function seedLibrary(store: LibraryStore = new LibraryStore()): LibraryStore {
  const fiction = store.createShelf("Science fiction").name;
  const garden = store.createShelf("Gardening").name;
  const books = [
    [fiction, "Dune", "Frank Herbert", 9780441172719n, 412],
    [fiction, "The Dispossessed", "Ursula K. Le Guin", 9780061054884n, 387],
    [fiction, "Solaris", "Stanisław Lem", 9780156027601n, 204],
    [garden, "The Well-Tempered Garden", "Christopher Lloyd", 9781841881355n, 494],
  ] as const;
  for (const [shelf, title, author, isbn, pageCount] of books) {
    store.createBook(shelf, create(BookSchema, { title, authors: [author], isbn, pageCount }));
  }
  return store;
}
