import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  BookState,
  ListBooksResponseSchema,
  type BookSchema,
  type ListBooksResponse,
} from "../gen/library/v1/library_pb.ts";

/** One hundred nested items with most kinds of fields, about 27 kB of JSON. */
export function hundredBooks(): ListBooksResponse {
  return create(ListBooksResponseSchema, {
    books: Array.from({ length: 100 }, (_, index) => book(index + 1)),
    nextPageToken: "cGFnZTI",
    totalSize: 2345,
  });
}

const authors = ["Ada", "Grace", "Linus", "Barbara", "Ken"];

function book(index: number): MessageInitShape<typeof BookSchema> {
  return {
    name: `shelves/3/books/${index}`,
    title: `Notes, part ${index}`,
    authors: [authors[index % authors.length] ?? "", "Zoë"],
    isbn: 9_780_441_172_719n + BigInt(index),
    pageCount: 200 + index,
    labels: { row: `b-${index % 9}` },
    publication: { publisher: "Acme", year: 1960 + (index % 60) },
    state: BookState.AVAILABLE,
    createTime: { seconds: BigInt(1_772_359_200 + index * 3607), nanos: (index % 4) * 250_000_000 },
    etag: `W${index}`,
  };
}
