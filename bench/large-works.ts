import { create, equals, fromBinary, fromJson, toBinary, toJson, type JsonValue } from "@bufbuild/protobuf";
import {
  BenchBooksService,
  ListBooksRequestSchema,
  ListBooksResponseSchema,
  StoreBooksRequestSchema,
  StoreBooksResponseSchema,
} from "../gen/tsms/test/v1/bench_books_pb.ts";
import { hundredBooks } from "./books.ts";
import type { NetworkWork } from "./works.ts";

const { books } = hundredBooks();
const listRequest = create(ListBooksRequestSchema, { count: books.length });
const listResponse = create(ListBooksResponseSchema, { books });
const storeRequest = create(StoreBooksRequestSchema, { books });
const storeResponse = create(StoreBooksResponseSchema, { count: books.length });

/** One hundred nested items out. */
export const listBooks: NetworkWork = {
  http: {
    method: "GET",
    target: `/bench/v1/books?count=${books.length}`,
    body: undefined,
    answer: toJson(ListBooksResponseSchema, listResponse),
    // Gateways differ in the defaults that they print, and in the digits of fractions of seconds.
    isAnswer: (value) =>
      equals(ListBooksResponseSchema, fromJson(ListBooksResponseSchema, value as JsonValue), listResponse), // It was parsed from JSON.
  },
  grpc: {
    path: `/${BenchBooksService.typeName}/ListBooks`,
    request: toBinary(ListBooksRequestSchema, listRequest),
    answer: toBinary(ListBooksResponseSchema, listResponse),
  },
};

/** One hundred nested items in. */
export const storeBooks: NetworkWork = {
  http: {
    method: "POST",
    target: "/bench/v1/books:store",
    body: JSON.stringify(toJson(StoreBooksRequestSchema, storeRequest)),
    answer: toJson(StoreBooksResponseSchema, storeResponse),
  },
  grpc: {
    path: `/${BenchBooksService.typeName}/StoreBooks`,
    request: toBinary(StoreBooksRequestSchema, storeRequest),
    answer: toBinary(StoreBooksResponseSchema, storeResponse),
    isRequest: (bytes) =>
      equals(StoreBooksRequestSchema, fromBinary(StoreBooksRequestSchema, bytes), storeRequest),
  },
};
