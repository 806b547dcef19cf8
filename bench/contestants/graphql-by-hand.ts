/**
 * GraphQL written by hand: a Fastify route over graphql-js with documents that are parsed and validated once, and a
 * dataloader for references; with the address of a server the book comes from there, by grpc-js.
 */
import { once } from "node:events";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import DataLoader from "dataloader";
import { fastify } from "fastify";
import { buildSchema, type DocumentNode, execute, GraphQLObjectType, parse, validate } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";
import { type Book, BookState } from "../../gen/library/v1/library_pb.ts";
import type { Copy } from "../../gen/tsms/test/v1/bench_catalog_pb.ts";
import { followed } from "../works.ts";
import { bookOf, books, copies } from "./catalog.ts";
import { connectToCatalog } from "./grpc-js-calls.ts";
import { takePart } from "./take-part.ts";

const schema = buildSchema(`
  type Query {
    getCatalogBook(name: String): Book
    listCatalogBooks(pageSize: Int): Books!
    listCopies(pageSize: Int): Copies!
  }
  type Subscription { followParcels(count: Int): Parcel! }
  type Books { books: [Book!]! }
  type Copies { copies: [Copy!]! }
  type Copy { name: String! book: String! bookResource: Book }
  type Parcel { name: String! weight: Int! address: String! }
  enum BookState { BOOK_STATE_UNSPECIFIED BOOK_STATE_AVAILABLE BOOK_STATE_CHECKED_OUT }
  type Book {
    name: String! title: String! authors: [String!]! isbn: String! pageCount: Int state: BookState!
    createTime: String etag: String!
  }
`);

const states: Readonly<Record<BookState, string>> = {
  [BookState.UNSPECIFIED]: "BOOK_STATE_UNSPECIFIED",
  [BookState.AVAILABLE]: "BOOK_STATE_AVAILABLE",
  [BookState.CHECKED_OUT]: "BOOK_STATE_CHECKED_OUT",
};

interface Operation {
  readonly books: DataLoader<string, Book>;
}

resolve<Book>("Book", {
  isbn: ({ isbn }) => String(isbn),
  state: ({ state }) => states[state],
  createTime: ({ createTime }) => createTime && timestampDate(createTime).toISOString().replace(".000Z", "Z"),
});
resolve<Copy>("Copy", { bookResource: ({ book }, loaders) => loaders.books.load(book) });

const [target] = process.argv.slice(2);
const getBook = target === undefined ? undefined : connectToCatalog(target);
const rootValue = {
  getCatalogBook: ({ name }: { name: string }) => getBook?.(name) ?? bookOf(name),
  listCatalogBooks: ({ pageSize }: { pageSize: number }) => ({ books: books.slice(0, pageSize) }),
  listCopies: ({ pageSize }: { pageSize: number }) => ({ copies: copies.slice(0, pageSize) }),
  async *followParcels({ count }: { count: number }) {
    for (let weight = 1; weight <= count; weight++) yield { followParcels: { ...followed, weight } };
  },
};

const documents = new Map<string, DocumentNode>();

function documentOf(source: string): DocumentNode {
  let document = documents.get(source);
  if (document === undefined) {
    document = parse(source);
    const [error] = validate(schema, document);
    if (error !== undefined) throw error;
    documents.set(source, document);
  }
  return document;
}

const app = fastify();
app.post<{ Body: { query: string; variables?: Record<string, unknown> } }>("/graphql", (request, reply) => {
  const { query, variables } = request.body;
  const contextValue: Operation = {
    books: new DataLoader(async (names: readonly string[]) => names.map(bookOf)),
  };
  const parts = { schema, document: documentOf(query), rootValue, contextValue };
  const result = execute(variables === undefined ? parts : { ...parts, variableValues: variables });
  if (result instanceof Promise) return result;
  void reply.send(result);
  return undefined;
});
/** Events by a bare loop; sockets are those of graphql-ws. */
app.get<{ Querystring: { query: string } }>("/graphql", (request, reply) => {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": "text/event-stream" });
  const count = Number(/count: (\d+)/.exec(request.query.query)?.[1]);
  const writeAll = async (): Promise<void> => {
    for (let weight = 1; weight <= count; weight++) {
      const data = { followParcels: { ...nameFirst, weight, address: followed.address } };
      if (!raw.write(`event: next\ndata: ${JSON.stringify({ data })}\n\n`)) await once(raw, "drain");
    }
    raw.end("event: complete\ndata:\n\n");
  };
  void writeAll();
});
const nameFirst = { name: followed.name };
await app.ready();
useServer(
  { schema, roots: { subscription: rootValue } },
  new WebSocketServer({ server: app.server, path: "/graphql", perMessageDeflate: false }),
);
takePart({ port: Number(new URL(await app.listen({ host: "127.0.0.1", port: 0 })).port) });

/** Gives fields of a type their resolvers. */
function resolve<Source>(
  type: string,
  resolvers: Readonly<Record<string, (source: Source, loaders: Operation) => unknown>>,
): void {
  const found = schema.getType(type);
  if (!(found instanceof GraphQLObjectType)) throw new Error(`there is no type ${type}`);
  for (const [name, resolver] of Object.entries(resolvers)) {
    const field = found.getFields()[name];
    if (field !== undefined)
      field.resolve = (source, _args, context) => resolver(source as Source, context as Operation); // As the schema has them.
  }
}
