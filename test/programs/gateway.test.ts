import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { partAt, partOf, textOf } from "../support/open-document.ts";
import { bufCurl, curl, curlJson, Program, run } from "../support/program.ts";

let gateway: Program;
let http = "";
let grpc = "";

before(async () => {
  const flags = ["--grpc-port=0", "--http-port=0", "--exporter-port=0", "--graphql"];
  gateway = new Program("examples/gateway.ts", ...flags);
  http = `http://${await gateway.address("HTTP")}`;
  grpc = await gateway.address("GRPC");
});

after(async () => {
  const exit = await gateway.stop();
  await gateway[Symbol.asyncDispose]();
  assert.deepEqual([exit.code, exit.signal], [0, null]);
});

const post = ["-X", "POST", "-H", "content-type: application/json"];
const patch = ["-X", "PATCH", "-H", "content-type: application/json"];

for (const [name, path] of [
  ["GoMs", "goms"],
  ["Child", "child"],
] as const) {
  for (const [word, rpc, data, request] of [
    ["List", "List", "{}", [`/${path}`]],
    ["Create", "Create", "{}", [`/${path}`, ...post, "-d", "{}"]],
    ["View", "Get", '{"id":"42"}', [`/${path}/42`]],
    ["Update", "Update", '{"id":"42"}', [`/${path}/42`, ...patch, "-d", "{}"]],
    ["Delete", "Delete", '{"id":"42"}', [`/${path}/42`, "-X", "DELETE"]],
  ] as const) {
    test(`${name}/${rpc} over REST and gRPC`, async () => {
      const [suffix, ...args] = request;
      const expected = { message: `${name} ${word}` };
      assert.deepEqual(await curlJson(...args, http + suffix), [200, expected]);
      const { code, stdout } = await bufCurl(grpc, `go.micro.service.${path}.${name}/${rpc}`, data);
      assert.equal(code, 0);
      assert.deepEqual(JSON.parse(stdout), expected);
    });
  }
}

test("the start-up lines name ports, services, routes, metrics and a command that works", async () => {
  const [, command = ""] = await gateway.line(/^Try: (.*)$/);
  assert.ok(gateway.lines.includes("[GRPC] serving go.micro.service.goms.GoMs"));
  assert.ok(gateway.lines.includes("[HTTP] GET /goms/{id} → go.micro.service.goms.GoMs/Get"));
  const { status, body } = await curl(...command.split(" ").slice(1));
  assert.equal(status, 200);
  assert.match(body, /"title":"Dune"/);
});

test("the gateway finds the packages of GraphQL, also where a bundle has them inside", async () => {
  const [, url = ""] = await gateway.line(/^\[GRAPHQL\] (\S*): /);
  assert.equal(url, `${http}/graphql`);
  const query = "{ listShelves { shelves { theme } } }";
  const { status, body } = await curl(...post, "-d", JSON.stringify({ query }), url);
  assert.equal(status, 200);
  assert.match(body, /^\{"data":\{"listShelves":\{"shelves":\[\{"theme":"/);
});

test("the gateway has an OpenAPI document with the comments of its contracts, as its start-up line says", async () => {
  const [, url = ""] = await gateway.line(/^\[OPENAPI\] (.*)$/);
  assert.equal(url, `${http}/openapi.json`);
  const { status, body } = await curl(url);
  assert.equal(status, 200);
  const { get } = partAt(partOf(body), "paths", "/v1/shelves/{shelf}/books/{book}");
  assert.equal(get.operationId, "LibraryService_GetBook");
  assert.match(textOf(get.description), /\w+ \w+/);
});

test("child calls goms through the gateway's own gRPC server", async () => {
  assert.deepEqual(await curlJson(`${http}/child/7/parent`), [200, { message: "GoMs View" }]);
});

test("a book lives its life over REST", async () => {
  const created = await curl(
    `${http}/v1/shelves/2/books`,
    ...post,
    "-d",
    '{"title":"Weeds","isbn":"9007199254740993"}',
  );
  assert.equal(created.status, 201);
  const book = JSON.parse(created.body) as { name: string; isbn: string; etag: string }; // As asserted below.
  assert.equal(created.headers.get("location"), `/v1/${book.name}`);
  assert.equal(book.isbn, "9007199254740993");
  const url = `${http}/v1/${book.name}`;

  const [status, changed] = await curlJson(
    url,
    ...patch,
    "-d",
    JSON.stringify({ publication: { year: 1999 }, etag: book.etag }),
  );
  assert.equal(status, 200);
  assert.partialDeepStrictEqual(changed, { title: "Weeds", publication: { year: 1999 } });

  const [late, error] = await curlJson(url, ...patch, "-d", JSON.stringify({ title: "X", etag: book.etag }));
  assert.equal(late, 409);
  assert.partialDeepStrictEqual(error, {
    code: 10,
    details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "ETAG_MISMATCH" }],
  });

  const [lent, loan] = await curlJson(
    `${url}:checkout`,
    ...post,
    "-d",
    '{"borrower":"Ann","period":"3600s"}',
  );
  assert.equal(lent, 200);
  assert.partialDeepStrictEqual(loan, { state: "BOOK_STATE_CHECKED_OUT", loan: { borrower: "Ann" } });
  const [again, refusal] = await curlJson(`${url}:checkout`, ...post, "-d", '{"borrower":"Bob"}');
  assert.equal(again, 400);
  assert.partialDeepStrictEqual(refusal, {
    code: 9,
    details: [{ violations: [{ type: "BOOK_IS_OUT", subject: book.name }] }],
  });
  assert.equal((await curl(`${url}:return`, ...post, "-d", "{}")).status, 200);
  assert.deepEqual(await curlJson(url, "-X", "DELETE"), [200, {}]);
  const [gone, missing] = await curlJson(url);
  assert.equal(gone, 404);
  assert.partialDeepStrictEqual(missing, { code: 5, details: [{ resourceName: book.name }] });
});

test("books come filtered, in order and page by page from query parameters", async () => {
  const query = "filter=author:le&orderBy=title%20desc&pageSize=1";
  const [status, page] = await curlJson(`${http}/v1/shelves/-/books?${query}`);
  assert.equal(status, 200);
  assert.partialDeepStrictEqual(page, { books: [{ title: "The Dispossessed" }] });
});

test("buf curl finds everything by reflection", async () => {
  const tool = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
  const { code, stdout } = await run("buf", ...tool, "--list-services", `http://${grpc}`);
  assert.equal(code, 0);
  for (const name of [
    "go.micro.service.child.Child",
    "go.micro.service.goms.GoMs",
    "library.v1.LibraryService",
  ]) {
    assert.ok(stdout.split("\n").includes(name), stdout);
  }
});

test("errors over gRPC keep code, text and details", async () => {
  const { code, stderr } = await bufCurl(
    grpc,
    "library.v1.LibraryService/GetBook",
    '{"name":"shelves/1/books/99"}',
  );
  assert.equal(code, 5 * 8);
  assert.match(stderr, /shelves\/1\/books\/99 does not exist/);
  assert.match(stderr, /google\.rpc\.ResourceInfo/);
});

test("client streams and bidi streams are served over gRPC", async () => {
  const books = [
    { parent: "shelves/2", book: { title: "A" } },
    { book: { title: "" } },
    { book: { title: "C" } },
  ];
  const data = books.map((book) => JSON.stringify(book)).join("\n");
  const { stdout } = await bufCurl(grpc, "library.v1.LibraryService/ImportBooks", data);
  assert.partialDeepStrictEqual(JSON.parse(stdout), {
    imported: 2,
    failures: [{ index: 1, code: "INVALID_ARGUMENT" }],
  });
  const chat = await bufCurl(grpc, "library.v1.LibraryService/Chat", '{"text":"dune"}{"text":"cookery"}');
  assert.match(chat.stdout, /Welcome[^]*We have: Dune\.[^]*nothing like/);
});

test("a server stream ends at the client's deadline", async () => {
  // 1.5 s are enough to connect on a slow machine.
  const watch = await bufCurl(
    grpc,
    "library.v1.LibraryService/WatchBooks",
    '{"parent":"shelves/1"}',
    "--timeout",
    "1.5s",
  );
  assert.equal(watch.code, 4 * 8, watch.stderr);
  assert.match(watch.stdout, /CHANGE_TYPE_PRESENT[^]*CHANGE_TYPE_SYNCED/);
});

test("health is SERVING over gRPC and HTTP", async () => {
  const { stdout } = await bufCurl(
    grpc,
    "grpc.health.v1.Health/Check",
    '{"service":"library.v1.LibraryService"}',
  );
  assert.deepEqual(JSON.parse(stdout), { status: "SERVING" });
  for (const path of ["/healthz", "/livez", "/readyz"]) {
    assert.deepEqual(await curlJson(http + path), [200, { status: "SERVING" }]);
  }
});

test("the metrics page counts a call once, under the protocol it came by", async () => {
  const page = await gateway.metrics();
  const counted = async (): Promise<number> => {
    const { body } = await curl(page);
    const series =
      /^ts_ms_calls_finished_total\{service="library.v1.LibraryService",method="GetShelf",(.*)\} (\d+)$/gm;
    const found = [...body.matchAll(series)];
    for (const [, labels] of found) assert.equal(labels, 'protocol="rest",code="OK"');
    return found.reduce((sum, [, , count]) => sum + Number(count), 0);
  };
  const before = await counted();
  await curl(`${http}/v1/shelves/1`);
  assert.equal(await counted(), before + 1);
  const { body } = await curl(page);
  assert.match(
    body,
    /^ts_ms_http_requests_total\{route="[^"]*shelves\/\*[^"]*",method="GET",status="200"\} \d+$/m,
  );
  assert.match(body, /^process_cpu_seconds_total /m);
});

test("standard output holds what people need, standard error nothing", () => {
  assert.equal(
    gateway.errors.split("\n").filter((line) => /"level":(?:50|60)/.test(line)).length,
    0,
    gateway.errors,
  );
});
