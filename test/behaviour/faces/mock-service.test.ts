/** A contract that answers by itself, before there is a server. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { create, type Message } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { mockService } from "../../../src/core/contract/mock-service.ts";
import { dial, GrpcServer, HttpServer } from "../../../src/index.ts";
import { LibraryService } from "../../../gen/library/v1/library_pb.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

suite("a mock of the library", () => {
  const grpc = new GrpcServer({ port: 0, logger: false });
  const http = new HttpServer({ port: 0, upstream: grpc, logger: false });
  before(async () => {
    const mock = mockService(LibraryService, { intervalMs: 5 });
    grpc.addService(mock);
    http.addService(mock);
    await grpc.start();
    await http.start();
  });
  after(async () => {
    await http.gracefulStop();
    await grpc.gracefulStop();
  });
  const get = (path: string, headers = {}): Promise<Response> =>
    fetch(`http://127.0.0.1:${http.address?.port}${path}`, { headers });

  test("answers unary calls over REST, marked as a mock, and always in the same way", async () => {
    const [one, other] = [await get("/v1/shelves/1/books/1"), await get("/v1/shelves/1/books/1")];
    assert.equal(one.status, 200);
    assert.equal(one.headers.get("x-ts-ms-mock"), "1");
    const text = await one.text();
    assert.equal(text, await other.text());
    const book = JSON.parse(text) as Record<string, unknown>;
    assert.equal(book["name"], "shelves/1/books/1");
    assert.match(String(book["isbn"]), /^978/);
  });

  test("answers a list with one page of one book", async () => {
    const { books, nextPageToken } = (await (await get("/v1/shelves/1/books")).json()) as {
      books: unknown[];
      nextPageToken: string;
    };
    assert.equal(books.length, 1);
    assert.equal(nextPageToken, "");
  });

  test("streams 5 messages that differ", async () => {
    const reply = await get("/v1/shelves/1/books:watch");
    assert.equal(reply.headers.get("x-ts-ms-mock"), "1");
    const lines = (await reply.text()).trim().split("\n");
    assert.equal(lines.length, 5);
    assert.equal(new Set(lines).size, 5);
  });

  test("answers all kinds of rpcs over gRPC", async () => {
    await using transport = dial(`127.0.0.1:${grpc.address?.port}`);
    const client = createClient(LibraryService, transport);
    const header = (headers: Headers): void => assert.equal(headers.get("x-ts-ms-mock"), "1");
    async function* requests() {
      yield {};
      yield {};
    }
    await client.importBooks(requests(), { onHeader: header });
    let count = 0;
    for await (const _ of client.chat(requests(), { onHeader: header })) count++;
    assert.equal(count, 5);
  });
});

test("a mock waits 200 ms between the messages of a stream, and ends with its call", async () => {
  const clock = new VirtualClock();
  const ended = new AbortController();
  const context = { responseHeader: new Headers(), signal: ended.signal };
  const mock = mockService(LibraryService, { clock }) as unknown as {
    watchBooks(request: Message, context: object): AsyncGenerator<Message>;
  }; // As the contract says.
  const replies = mock.watchBooks(create(LibraryService.method.watchBooks.input), context);
  assert.equal((await replies.next()).done, false);
  let second: unknown;
  const waiting = replies.next().then((reply) => (second = reply));
  await clock.pass(199);
  assert.equal(second, undefined);
  await clock.pass(1);
  await waiting;
  assert.notEqual(second, undefined);
  const third = replies.next();
  ended.abort(new Error("left"));
  await assert.rejects(third, /left/);
  assert.equal(clock.nextMs, undefined);
});
