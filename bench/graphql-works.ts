import { create, toBinary } from "@bufbuild/protobuf";
import {
  BenchCatalogService,
  GetCatalogBookRequestSchema,
  GetCatalogBookResponseSchema,
} from "../gen/tsms/test/v1/bench_catalog_pb.ts";
import { hundredBooks } from "./books.ts";
import type { HttpWork } from "./load/http-load.ts";
import type { StreamForm, StreamWork } from "./load/stream-load.ts";
import { follow, type NetworkWork } from "./works.ts";

const { books } = hundredBooks();
const fields = "name title authors isbn pageCount state createTime etag";

/** The fields of the selection, as GraphQL has them. */
const results = books.map(({ name, title, authors, isbn, pageCount, createTime, etag }) => ({
  ...{ name, title, authors, isbn: String(isbn), pageCount, state: "BOOK_STATE_AVAILABLE" },
  createTime: timeText(createTime),
  etag,
}));

function timeText(time: { readonly seconds: bigint; readonly nanos: number } | undefined): string {
  const { seconds = 0n, nanos = 0 } = time ?? {};
  return new Date(Number(seconds) * 1000 + nanos / 1e6).toISOString().replace(".000Z", "Z");
}

function operation(query: string, variables: unknown, data: unknown): HttpWork {
  const body = JSON.stringify({ query, variables });
  return { method: "POST", target: "/graphql", body, accept: "application/json", answer: { data } };
}

const [book] = books;
const name = book?.name ?? "";

/** One book by its name. */
export const oneBook = operation(
  `query Book($name: String) { getCatalogBook(name: $name) { ${fields} } }`,
  { name },
  { getCatalogBook: results[0] },
);

/** The same in front of a server. */
export const oneBookOverNetwork: NetworkWork = {
  http: oneBook,
  grpc: {
    path: `/${BenchCatalogService.typeName}/GetCatalogBook`,
    request: toBinary(GetCatalogBookRequestSchema, create(GetCatalogBookRequestSchema, { name })),
    answer: toBinary(
      GetCatalogBookResponseSchema,
      create(GetCatalogBookResponseSchema, book === undefined ? {} : { book }),
    ),
  },
};

/** One hundred books with eight fields. */
export const hundred = operation(
  `query Books($pageSize: Int) { listCatalogBooks(pageSize: $pageSize) { books { ${fields} } } }`,
  { pageSize: 100 },
  { listCatalogBooks: { books: results } },
);

/** One hundred copies, each with the title of the book that it refers to. */
export const hundredCopies = operation(
  "query Copies($pageSize: Int) { listCopies(pageSize: $pageSize) { copies { name bookResource { name title } } } }",
  { pageSize: 100 },
  {
    listCopies: {
      copies: results.map(({ name: bookName, title }, index) => ({
        name: `copies/${index + 1}`,
        bookResource: { name: bookName, title },
      })),
    },
  },
);

const subscription = `subscription { followParcels(count: ${follow.count}) { name weight address } }`;

/** A long subscription. */
export const subscribed: StreamWork = {
  target: `/graphql?query=${encodeURIComponent(subscription)}`,
  count: follow.count,
};

/** The ways of subscriptions: `graphql-transport-ws`, and server-sent events of a connection each. */
export const subscriptionForms = {
  socket: {
    headers: [
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
      "Sec-WebSocket-Protocol: graphql-transport-ws",
    ],
    status: 101,
    opening: [
      textFrame({ type: "connection_init" }),
      textFrame({ id: "1", type: "subscribe", payload: { query: subscription } }),
    ],
    last: '"type":"complete"',
  },
  sse: {
    headers: ["Accept: text/event-stream", "Connection: close"],
    status: 200,
    last: "event: complete\n",
  },
} as const satisfies Readonly<Record<string, StreamForm>>;

/** A short text of a client, with a mask of zeros. */
function textFrame(message: unknown): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const length =
    text.length < 126 ? [0x80 | text.length] : [0x80 | 126, text.length >> 8, text.length & 0xff];
  return Buffer.concat([Buffer.from([0x81, ...length, 0, 0, 0, 0]), text]);
}
