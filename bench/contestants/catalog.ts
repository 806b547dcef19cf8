import { create } from "@bufbuild/protobuf";
import type { Book } from "../../gen/library/v1/library_pb.ts";
import { type Copy, CopySchema } from "../../gen/tsms/test/v1/bench_catalog_pb.ts";
import { hundredBooks } from "../books.ts";

/** The books and the copies behind all servers of GraphQL; they are there before the first call. */
export const books: readonly Book[] = hundredBooks().books;

/** A copy of each book. */
export const copies: readonly Copy[] = books.map(({ name }, index) =>
  create(CopySchema, { name: `copies/${index + 1}`, book: name }),
);

const byName = new Map(books.map((book) => [book.name, book]));

/** @throws Error for a name that no book has */
export function bookOf(name: string): Book {
  const book = byName.get(name);
  if (book === undefined) throw new Error(`there is no book ${name}`);
  return book;
}
