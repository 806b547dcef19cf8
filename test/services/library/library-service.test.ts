import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { createClient, type Client } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  ResourceInfoSchema,
} from "../../../gen/google/rpc/error_details_pb.ts";
import {
  BookSchema,
  BookState,
  ChangeType,
  ChangeTypeSchema,
  LibraryService as descriptor,
} from "../../../gen/library/v1/library_pb.ts";
import { toTransport } from "../../../src/core/call/transport.ts";
import { Dispatcher } from "../../../src/core/call/dispatcher.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { messageCheck } from "../../../src/core/codec/message-check.ts";
import { inProcess } from "../../../src/core/call/in-process.ts";
import { ChangeFeed } from "../../../src/services/library/change-feed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { LibraryStore } from "../../../src/services/library/library-store.ts";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";

const noon = new Date("2026-01-01T12:00:00Z");

function library(): Client<typeof descriptor> {
  const dispatcher = new Dispatcher();
  dispatcher.add(new LibraryService(seedLibrary(new LibraryStore({ now: () => noon }))));
  return createClient(descriptor, toTransport(inProcess(dispatcher, messageCheck)));
}

async function refusal(call: Promise<unknown>): Promise<ConnectError> {
  const reason: unknown = await call.then(
    () => assert.fail("the call succeeded"),
    (error: unknown) => error,
  );
  assert.ok(reason instanceof ConnectError);
  return reason;
}

test("shelves are created, listed, read and deleted", async () => {
  const client = library();
  let headers = new Headers();
  const { shelf } = await client.createShelf(
    { shelf: { theme: "Poetry" } },
    { onHeader: (found) => (headers = found) },
  );
  assert.equal(shelf?.name, "shelves/3");
  assert.equal(headers.get("location"), "/v1/shelves/3");
  assert.equal((await client.listShelves({})).shelves.length, 3);
  assert.equal((await client.getShelf({ name: "shelves/3" })).shelf?.theme, "Poetry");
  await client.deleteShelf({ name: "shelves/3" });
  const error = await refusal(client.getShelf({ name: "shelves/3" }));
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.findDetails(ResourceInfoSchema)[0]?.resourceName, "shelves/3");
});

test("a shelf with books stays", async () => {
  const error = await refusal(library().deleteShelf({ name: "shelves/1" }));
  assert.equal(error.code, Code.FailedPrecondition);
  assert.equal(error.findDetails(PreconditionFailureSchema)[0]?.violations[0]?.type, "SHELF_NOT_EMPTY");
});

test("books come page by page", async () => {
  const client = library();
  const titles: string[] = [];
  let pageToken = "";
  let pages = 0;
  do {
    const page = await client.listBooks({ parent: "shelves/-", pageSize: 3, orderBy: "title", pageToken });
    titles.push(...page.books.map(({ title }) => title));
    assert.equal(page.totalSize, 4);
    pageToken = page.nextPageToken;
    pages++;
  } while (pageToken !== "");
  assert.equal(pages, 2);
  assert.deepEqual(titles, ["Dune", "Solaris", "The Dispossessed", "The Well-Tempered Garden"]);
});

for (const [filter, expected] of [
  ["title:the", ["The Dispossessed", "The Well-Tempered Garden"]],
  ["title=Dune", ["Dune"]],
  ["title=dune", []],
  ['author="Stanisław Lem"', ["Solaris"]],
  ["author:le AND title:dispossessed", ["The Dispossessed"]],
  ["isbn=9780441172719", ["Dune"]],
  ["state=CHECKED_OUT", []],
  ["labels.shape=square", []],
  ["labels.constructor=x", []],
] as const) {
  test(`filter ${filter}`, async () => {
    const { books } = await library().listBooks({ parent: "shelves/-", filter, orderBy: "title" });
    assert.deepEqual(
      books.map(({ title }) => title),
      expected,
    );
  });
}

for (const [field, request] of [
  ["filter", { filter: "title" }],
  ["filter", { filter: "title:a title:b" }],
  ["filter", { filter: "title:a AND" }],
  ["filter", { filter: "pages=3" }],
  ["filter", { filter: "state=LOST" }],
  ["order_by", { orderBy: "size" }],
  ["order_by", { orderBy: "title up" }],
  ["order_by", { orderBy: "constructor" }],
  ["page_size", { pageSize: -1 }],
  ["page_token", { pageToken: "???" }],
] as const) {
  test(`list refuses ${JSON.stringify(request)}`, async () => {
    const error = await refusal(library().listBooks({ parent: "shelves/-", ...request }));
    assert.equal(error.code, Code.InvalidArgument);
    assert.equal(error.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field, field);
  });
}

test("a page token is good for its own list only", async () => {
  const client = library();
  const { nextPageToken } = await client.listBooks({ parent: "shelves/1", pageSize: 1 });
  const error = await refusal(
    client.listBooks({ parent: "shelves/1", orderBy: "title", pageToken: nextPageToken }),
  );
  assert.equal(error.code, Code.InvalidArgument);
});

test("order goes both ways, by several keys", async () => {
  const { books } = await library().listBooks({ parent: "shelves/1", orderBy: "create_time, title desc" });
  assert.deepEqual(
    books.map(({ title }) => title),
    ["The Dispossessed", "Solaris", "Dune"],
  );
});

test("a book is created with a name, a state, a time and an etag of the server's own", async () => {
  const client = library();
  const { book } = await client.createBook({
    parent: "shelves/2",
    book: { name: "shelves/9/books/9", title: "Weeds", state: BookState.CHECKED_OUT, etag: "mine" },
  });
  assert.equal(book?.name, "shelves/2/books/5");
  assert.equal(book.state, BookState.AVAILABLE);
  assert.deepEqual(book.createTime && timestampDate(book.createTime), noon);
  assert.notEqual(book.etag, "mine");
  const missing = await refusal(client.createBook({ parent: "shelves/2", book: {} }));
  assert.equal(missing.findDetails(BadRequestSchema)[0]?.fieldViolations[0]?.field, "book.title");
  assert.equal((await refusal(client.createBook({ parent: "shelves/9" }))).code, Code.NotFound);
});

test("an update changes what the mask names and nothing else", async () => {
  const client = library();
  const name = "shelves/1/books/1";
  const { book: before } = await client.getBook({ name });
  const change = { name, title: "Dune Messiah", publication: { publisher: "Ace", year: 1990 }, isbn: 1n };
  const { book } = await client.updateBook({
    book: change,
    updateMask: { paths: ["title", "publication.year", "page_count", "state"] },
  });
  assert.equal(book?.title, "Dune Messiah");
  assert.equal(book.publication?.year, 1990);
  assert.equal(book.publication.publisher, "");
  assert.equal(book.pageCount, undefined);
  assert.equal(book.isbn, 9780441172719n);
  assert.equal(book.state, BookState.AVAILABLE);
  assert.notEqual(book.etag, before?.etag);
  assert.equal(before?.title, "Dune", "what was handed out does not change");
});

test("an update without a mask replaces all that callers may set", async () => {
  const name = "shelves/1/books/1";
  const { book } = await library().updateBook({ book: { name, title: "X", labels: { a: "b" } } });
  assert.deepEqual([book?.title, book?.authors, book?.isbn, book?.labels], ["X", [], 0n, { a: "b" }]);
});

for (const path of ["nonsense", "publication.nonsense", "title.x", "labels.a", ""]) {
  test(`an update refuses the path ${JSON.stringify(path)}`, async () => {
    const book = { name: "shelves/1/books/1", title: "X" };
    const error = await refusal(library().updateBook({ book, updateMask: { paths: [path] } }));
    assert.equal(error.code, Code.InvalidArgument);
  });
}

test("an old etag is ABORTED, for updates and deletes", async () => {
  const client = library();
  const name = "shelves/1/books/1";
  const etag = (await client.getBook({ name })).book?.etag ?? "";
  await client.updateBook({ book: { name, title: "A", etag }, updateMask: { paths: ["title", "etag"] } });
  const late = await refusal(client.updateBook({ book: { name, title: "B", etag } }));
  assert.equal(late.code, Code.Aborted);
  assert.equal(late.findDetails(ErrorInfoSchema)[0]?.reason, "ETAG_MISMATCH");
  assert.equal((await refusal(client.deleteBook({ name, etag }))).code, Code.Aborted);
  await client.deleteBook({ name });
  assert.equal((await refusal(client.getBook({ name }))).code, Code.NotFound);
});

test("a book is lent once and comes back once", async () => {
  const client = library();
  const name = "shelves/1/books/1";
  const { book } = await client.checkoutBook({ name, borrower: "Ann", period: { seconds: 3600n } });
  assert.equal(book?.state, BookState.CHECKED_OUT);
  assert.equal(book.loan?.borrower, "Ann");
  assert.deepEqual(book.loan.dueTime && timestampDate(book.loan.dueTime), new Date("2026-01-01T13:00:00Z"));
  for (const call of [client.checkoutBook({ name, borrower: "Bob" }), client.deleteBook({ name })]) {
    const error = await refusal(call);
    assert.equal(error.code, Code.FailedPrecondition);
    assert.equal(error.findDetails(PreconditionFailureSchema)[0]?.violations[0]?.type, "BOOK_IS_OUT");
  }
  assert.equal((await client.returnBook({ name })).book?.loan, undefined);
  assert.equal((await refusal(client.returnBook({ name }))).code, Code.FailedPrecondition);
});

test("several books come at once, in the order asked for", async () => {
  const client = library();
  const names = ["shelves/1/books/3", "shelves/1/books/1"];
  const { books } = await client.batchGetBooks({ parent: "shelves/1", names });
  assert.deepEqual(
    books.map(({ name }) => name),
    names,
  );
  assert.equal(
    (await refusal(client.batchGetBooks({ parent: "shelves/1", names: [] }))).code,
    Code.InvalidArgument,
  );
  const stray = await refusal(client.batchGetBooks({ parent: "shelves/1", names: ["shelves/2/books/4"] }));
  assert.equal(stray.code, Code.InvalidArgument);
  const gone = await refusal(client.batchGetBooks({ parent: "shelves/1", names: ["shelves/1/books/99"] }));
  assert.equal(gone.code, Code.NotFound);
});

test("a watch tells what is there, then what changes on its shelf, and ends with its reader", async () => {
  const client = library();
  const events: string[] = [];
  for await (const { type, book, revision } of client.watchBooks({ parent: "shelves/2" })) {
    events.push(`${ChangeTypeSchema.value[type]?.localName} ${book?.title} ${revision}`);
    if (type === ChangeType.SYNCED) {
      await client.updateBook({ book: { name: "shelves/1/books/1", title: "elsewhere" } });
      await client.createBook({ parent: "shelves/2", book: { title: "Weeds" } });
      await client.deleteBook({ name: "shelves/2/books/5" });
    }
    if (type === ChangeType.DELETED) break;
  }
  assert.deepEqual(events, [
    "PRESENT The Well-Tempered Garden 4",
    "SYNCED undefined 4",
    "CREATED Weeds 6",
    "DELETED Weeds 7",
  ]);
});

test("a watch of a missing shelf is NOT_FOUND", async () => {
  const watch = client(library());
  await assert.rejects(watch.next(), (error: ConnectError) => error.code === Code.NotFound);
});

function client(of: Client<typeof descriptor>) {
  return of.watchBooks({ parent: "shelves/9" })[Symbol.asyncIterator]();
}

test("an import says what became of each book", async () => {
  const books = library();
  const { imported, failures } = await books.importBooks(
    (async function* () {
      yield { parent: "shelves/2", book: { title: "One" } };
      yield { book: { title: "" } };
      yield { book: create(BookSchema, { title: "Three" }) };
    })(),
  );
  assert.equal(imported, 2);
  assert.deepEqual(
    failures.map(({ index, code, message }) => [index, code, message]),
    [[1, Code.InvalidArgument, "book.title is missing"]],
  );
  assert.equal((await books.listBooks({ parent: "shelves/2" })).totalSize, 3);
});

test("the help desk answers each question as it comes", async () => {
  const questions = new ChangeFeed<{ text: string }>(2);
  const answers: string[] = [];
  for await (const { text, books } of library().chat(questions.read())) {
    answers.push(`${text} ${books.join()}`);
    if (answers.length === 1) questions.push({ text: "herbert dune" });
    if (answers.length === 3) questions.close();
    if (answers.length === 2) questions.push({ text: "cookery" });
  }
  assert.deepEqual(answers, [
    "Welcome to the help desk. Which book are you looking for? ",
    "We have: Dune. shelves/1/books/1",
    'We have nothing like "cookery". ',
  ]);
});
