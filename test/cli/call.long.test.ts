import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { sizeDelimitedDecodeStream } from "@bufbuild/protobuf/wire";
import { ChatResponseSchema, GetBookResponseSchema } from "../../gen/library/v1/library_pb.ts";
import { docs } from "../../src/entries/docs.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { grpcurl, noGrpcurl } from "../support/grpcurl.ts";
import { run } from "../support/program.ts";
import { tsMs, tsMsFile, tsMsWith } from "../support/ts-ms.ts";

const scratch = mkdtempSync(join(tmpdir(), "ts-ms-call-"));
const grpc = new GrpcServer({ port: 0, host: "127.0.0.1" });
const http = new HttpServer({ port: 0, host: "127.0.0.1", upstream: grpc });
const shown = new HttpServer({ port: 0, host: "127.0.0.1", upstream: grpc, faces: [docs()] });
let target = "";
let url = "";
/** Of a server with the console. */
let shownUrl = "";
/** Where the contracts are for calls by HTTP. */
const contracts = ["--proto-path", "proto", "--proto", "library/v1/library.proto"];

before(async () => {
  const library = new LibraryService(seedLibrary());
  grpc.addService(library);
  http.addService(library);
  shown.addService(library);
  await grpc.start();
  await Promise.all([http.start(), shown.start()]);
  target = `127.0.0.1:${grpc.address?.port}`;
  url = `http://127.0.0.1:${http.address?.port}`;
  shownUrl = `http://127.0.0.1:${shown.address?.port}`;
});
after(async () => {
  rmSync(scratch, { recursive: true, force: true });
  await Promise.all([http.gracefulStop(), shown.gracefulStop(), grpc.gracefulStop()]);
});

const book = "name=shelves/1/books/1";

/** The JSON that a command prints, once it has ended well. */
async function json(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await tsMs("call", ...args);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

suite("what there is to call", () => {
  test("services, and the rpcs of one", async () => {
    const all = await tsMs("call", target);
    assert.deepEqual(all, { code: 0, stdout: "library.v1.LibraryService  15 rpcs\n", stderr: "" });
    const { stdout } = await tsMs("call", target, "LibraryService");
    assert.match(
      stdout,
      /^library\.v1\.LibraryService\n {2}ListShelves\(library\.v1\.ListShelvesRequest\) returns/,
    );
    assert.match(
      stdout,
      /^ {2}Chat\(stream library\.v1\.ChatRequest\) returns \(stream library\.v1\.ChatResponse\)$/m,
    );
  });

  test("--template is a request to fill in: it can be sent as it is", async () => {
    const { code, stdout } = await tsMs("call", target, "CreateBook", "--template");
    assert.equal(code, 0);
    assert.match(
      stdout,
      /^\/\/ library\.v1\.CreateBookRequest\n\{\n {2}\/\/ string; required\n {2}"parent": "",\n/,
    );
    const file = join(scratch, "book.json");
    writeFileSync(
      file,
      stdout.replace('"parent": ""', '"parent": "shelves/1"').replace('"title": ""', '"title": "T"'),
    );
    const made = (await json(target, "CreateBook", "-d", `@${file}`)) as { book: { title: string } };
    assert.equal(made.book.title, "T");
  });

  test("--template has the comments of sources and of descriptor sets", async () => {
    const args = ["call", target, "CreateBook", "--template"];
    const ofSources = await tsMs(...args, ...contracts);
    assert.match(ofSources.stdout, /^ {4}\/\/ Title as on the cover\.$/m);
    const ofSet = await tsMs(...args, "--descriptors", "gen/contract.binpb");
    assert.equal(ofSet.stdout, ofSources.stdout);
  });
});

suite("--print curl is the call as a command that a shell runs", () => {
  const title = `it's "T" $HOME \\ ü`;
  const create = ["CreateBook", "parent=shelves/1", `book.title=${title}`];
  const texts = ["-d", '{"parent":"shelves/1","book":{"title":"a"}} {"book":{"title":"b"}}'];
  const cases: readonly (readonly [name: string, args: readonly string[], stdin: string, reply: object])[] = [
    ["REST, without a body", ["GetBook", book], "", { title: "Dune" }],
    ["REST, a body with marks of shells", create, "", { title }],
    ["Connect", [...create, "--connect"], "", { book: { title } }],
    ["requests that are known", ["ImportBooks", ...texts], "", { imported: 2 }],
    ["requests of standard input", ["ImportBooks"], texts[1] ?? "", { imported: 2 }],
  ];
  for (const [name, args, stdin, reply] of cases) {
    test(name, async () => {
      const printed = await tsMs("call", url, ...args, ...contracts, "--print", "curl");
      assert.equal(printed.code, 0, printed.stderr);
      const line = `printf %s "$1" | { ${printed.stdout} }`;
      const { code, stdout, stderr } = await run("bash", "-c", line, "bash", stdin);
      assert.equal(code, 0, stderr);
      assert.partialDeepStrictEqual(JSON.parse(stdout), reply);
    });
  }
});

suite("--print grpcurl is the call as a command that a shell runs", { skip: noGrpcurl }, () => {
  const title = `it's "T" $HOME \\ ü`;
  const texts = ["-d", '{"parent":"shelves/1","book":{"title":"a"}} {"book":{"title":"b"}}'];
  const cases: readonly (readonly [name: string, args: readonly string[], stdin: string, reply: object])[] = [
    [
      "a request with marks of shells",
      ["CreateBook", "parent=shelves/1", `book.title=${title}`],
      "",
      { book: { title } },
    ],
    ["requests that are known", ["ImportBooks", ...texts], "", { imported: 2 }],
    ["requests of standard input", ["ImportBooks"], texts[1] ?? "", { imported: 2 }],
  ];
  for (const [name, args, stdin, reply] of cases) {
    for (const more of [[], contracts]) {
      test(`${name}${more.length === 0 ? "" : ", contracts of sources"}`, async () => {
        const printed = await tsMs("call", target, ...args, ...more, "--print", "grpcurl");
        assert.equal(printed.code, 0, printed.stderr);
        const line = `export PATH="$2:$PATH"; printf %s "$1" | { ${printed.stdout} }`;
        const { code, stdout, stderr } = await run("bash", "-c", line, "bash", stdin, dirname(grpcurl ?? ""));
        assert.equal(code, 0, stderr);
        assert.partialDeepStrictEqual(JSON.parse(stdout), reply);
      });
    }
  }
});

suite("one call is the same by every protocol", () => {
  const cases: readonly (readonly [string, () => readonly string[]])[] = [
    ["gRPC, method alone", () => [target, "GetBook", book]],
    ["gRPC, full name", () => [target, "library.v1.LibraryService/GetBook", book]],
    [
      "gRPC, service and method",
      () => [target, "LibraryService/GetBook", "-d", '{"name":"shelves/1/books/1"}'],
    ],
    ["REST", () => [url, "GetBook", book, ...contracts]],
    ["REST, contracts of the server behind", () => [url, "GetBook", book, "--contracts-of", target]],
    ["REST, contracts of the console", () => [shownUrl, "GetBook", book]],
    ["Connect", () => [url, "GetBook", book, "--connect", ...contracts]],
    ["Connect, contracts of the console", () => [`${shownUrl}/`, "GetBook", book, "--connect"]],
  ];
  for (const [name, args] of cases) {
    test(name, async () => {
      const reply = (await json(...args())) as { book: object };
      assert.deepEqual(Object.keys(reply), ["book"]);
      assert.partialDeepStrictEqual(reply.book, {
        name: "shelves/1/books/1",
        title: "Dune",
        isbn: "9780441172719",
      });
    });
  }
});

test("fields are those of query parameters: nested, lists, maps, 64 bits exact; -d below them", async () => {
  const fields = [
    "book.title=x",
    "book.authors=a",
    "book.authors=b,c",
    "book.labels[k=1]=v",
    "book.isbn=9007199254740993",
  ];
  const data = ["-d", '{"parent":"shelves/1", "book": {"pageCount": 7}}'];
  const made = (await json(url, "CreateBook", ...data, ...fields, ...contracts)) as { book: object };
  assert.partialDeepStrictEqual(made.book, {
    title: "x",
    authors: ["a", "b,c"],
    labels: { "k=1": "v" },
    isbn: "9007199254740993",
    pageCount: 7,
  });
});

suite("streams", () => {
  const lines = '{"text":"hi"}\n{"text":\n"ho"}{"text":"hu"}';
  for (const [name, args] of [
    ["gRPC", () => [target]],
    ["REST", () => [url, ...contracts]],
    ["Connect", () => [url, "--connect", ...contracts]],
  ] as const) {
    test(`bidi, requests from standard input, by ${name}`, async () => {
      const { code, stdout, stderr } = await tsMsWith(
        { stdin: lines },
        "call",
        ...args(),
        "Chat",
        "-o",
        "lines",
      );
      assert.equal(code, 0, stderr);
      const texts = stdout
        .trimEnd()
        .split("\n")
        .map((line) => (JSON.parse(line) as { text: string }).text);
      assert.equal(texts.length, 4);
      assert.match(texts[3] ?? "", /"hu"/);
    });
  }

  test("a line in, a line out, before the input ends", async () => {
    const child = spawn(process.execPath, [tsMsFile, "call", target, "Chat", "-o", "lines"]);
    child.stdout.setEncoding("utf8");
    const next = async (): Promise<string> => String((await once(child.stdout, "data"))[0]);
    assert.match(await next(), /Welcome/);
    child.stdin.write('{"text":"hi"}');
    assert.match(await next(), /\\"hi\\"/);
    child.stdin.end();
    assert.deepEqual(await once(child, "close"), [0, null]);
  });

  test("client streams take several texts of -d", async () => {
    const data = '{"parent":"shelves/1","book":{"title":"a"}} {"book":{"title":"b"}}';
    assert.deepEqual(await json(target, "ImportBooks", "-d", data), { imported: 2, failures: [] });
    assert.deepEqual(await json(url, "ImportBooks", "-d", data, ...contracts), { imported: 2, failures: [] });
  });

  test("--max-messages ends a stream well; replies are one array with -o json", async () => {
    for (const args of [[target], [url, ...contracts], [url, "--connect", ...contracts]]) {
      const flags = ["--max-messages", "2", "-o", "json"];
      const replies = (await json(...args, "WatchBooks", "parent=shelves/1", ...flags)) as unknown[];
      assert.equal(replies.length, 2);
    }
  });
});

test("-o binary is the message, and in streams each with its length", async () => {
  const run = async (...args: string[]): Promise<Buffer> => {
    const child = spawn(process.execPath, [tsMsFile, "call", ...args, "-o", "binary"]);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stdin.end('{"text":"hi"}');
    await once(child, "close");
    return Buffer.concat(chunks);
  };
  assert.equal(fromBinary(GetBookResponseSchema, await run(target, "GetBook", book)).book?.title, "Dune");
  const bytes = await run(target, "Chat");
  const replies = [];
  const source = (async function* () {
    yield bytes;
  })();
  for await (const reply of sizeDelimitedDecodeStream(ChatResponseSchema, source)) replies.push(reply.text);
  assert.equal(replies.length, 2);
});

test("-v prints headers and times on standard error, -H sends headers", async () => {
  const { code, stdout, stderr } = await tsMs(
    "call",
    url,
    "GetBook",
    book,
    ...contracts,
    "-v",
    "-H",
    "x-request-id: r7",
    "-o",
    "lines",
  );
  assert.equal(code, 0);
  assert.equal((JSON.parse(stdout) as { book: { etag: string } }).book.etag, "r1");
  assert.match(
    stderr,
    /^> library\.v1\.LibraryService\/GetBook to http:\S+ by rest\n> {3}x-request-id: r7\n< headers after [\d.]+ ms\n/,
  );
  assert.match(stderr, /^< {3}content-type: application\/json$/m);
  assert.match(stderr, /^< OK after [\d.]+ ms$/m);
});

suite("failures of calls end with 64 and the code, with details", () => {
  for (const [name, args] of [
    ["gRPC", () => [target]],
    ["REST", () => [url, ...contracts]],
    ["Connect", () => [url, "--connect", ...contracts]],
  ] as const) {
    test(name, async () => {
      const { code, stdout, stderr } = await tsMs("call", ...args(), "GetBook", "name=shelves/9/books/1");
      assert.deepEqual([code, stdout], [69, ""]);
      assert.match(
        stderr,
        /^NOT_FOUND: shelves\/9\/books\/1 does not exist\n\{\n {2}"@type": "type\.googleapis\.com\/google\.rpc\.ResourceInfo",\n/,
      );
    });
  }
});

suite("mistakes are named with what to type instead, exit code 2", () => {
  const cases: readonly (readonly [string, () => readonly string[], RegExp])[] = [
    [
      "rpc",
      () => [target, "GetBok"],
      /there is no rpc or service GetBok, did you mean GetBook\?\nThe services are library/,
    ],
    [
      "field",
      () => [target, "GetBook", "nam=x"],
      /library\.v1\.GetBookRequest: nam: the request has no such field; did you mean "name"\?/,
    ],
    [
      "field of JSON",
      () => [target, "GetBook", "-d", '{"nam":"x"}'],
      /request 1 is no library\.v1\.GetBookRequest: \n {2}nam: the message has no such field; did you mean "name"\?/,
    ],
    ["number", () => [target, "ListBooks", "pageSize=x"], /page_size: expected an integer/],
    [
      "value of an enum",
      () => [target, "CreateBook", "book.state=BOOK_STATE_AVAILABL"],
      /BOOK_STATE_AVAILABLE/,
    ],
    ["no assignment", () => [target, "GetBook", "x"], /"x" is no FIELD=VALUE; JSON goes behind -d/],
    ["no JSON", () => [target, "GetBook", "-d", "{"], /the requests are no JSON/],
    ["two requests", () => [target, "GetBook", "-d", "{} {}"], /GetBook takes one request, and --data has 2/],
    [
      "--rest without HTTP",
      () => [target, "GetBook", "--rest"],
      /--rest calls by HTTP: give the target as http:\/\/127/,
    ],
    ["header", () => [target, "GetBook", "-H", "x"], /bad value "x" for --H: must be NAME:VALUE/],
  ];
  for (const [name, args, expected] of cases) {
    test(name, async () => {
      const { code, stdout, stderr } = await tsMs("call", ...args());
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, expected);
    });
  }

  test("an HTTP target where nothing listens", async () => {
    const { code, stderr } = await tsMs("call", "http://127.0.0.1:1", "GetBook");
    assert.deepEqual(
      [code, stderr],
      [
        1,
        "ts-ms call: there is no connection to http://127.0.0.1:1\nnothing listens there; is it running? ts-ms doctor http://127.0.0.1:1\n",
      ],
    );
  });

  test("an HTTP target without contracts", async () => {
    const { code, stderr } = await tsMs("call", url, "GetBook");
    assert.equal(code, 1);
    assert.match(
      stderr,
      /gives no contracts, by its console at \/docs or by gRPC: .*--proto FILE, --descriptors FILE, or --contracts-of HOST:PORT/,
    );
  });
});

test("replies have colours at a terminal, and none where NO_COLOR is set or their reader is a program", async () => {
  const command = [process.execPath, tsMsFile, "call", target, "GetBook", book].join(" ");
  const printed = async (settings: string): Promise<string> => {
    const line = `env -u CI -u FORCE_COLOR -u NO_COLOR TERM=xterm ${settings} ${command}`;
    const { code, stdout, stderr } = await run("script", "-qec", line, "/dev/null");
    assert.equal(code, 0, stderr);
    return stdout;
  };
  assert.match(await printed(""), /\u001B\[36m"title"\u001B\[39m: \u001B\[32m"Dune"/);
  assert.doesNotMatch(await printed("NO_COLOR=1"), /\u001B\[3/);
  assert.doesNotMatch((await tsMs("call", target, "GetBook", book)).stdout, /\u001B/);
});

suite("F14", () => {
  test("F14: standard input that is closed at once ends the call by itself", async () => {
    const { code, stdout } = await tsMsWith({ stdin: "" }, "call", target, "Chat", "-o", "lines");
    assert.equal(code, 0);
    assert.match(stdout, /Welcome/);
  });

  test("F14: --max-time gives up a server that hangs", async () => {
    const { code, stderr } = await tsMs(
      "call",
      target,
      "WatchBooks",
      "parent=shelves/1",
      "--max-time",
      "2500ms", // The start of the program and the question for the description included.
    );
    assert.equal(code, 68, stderr);
    assert.match(stderr, /^DEADLINE_EXCEEDED: /);
  });

  test("F14: Ctrl-C cancels, with 130; the second time it ends at once", async () => {
    const child = spawn(process.execPath, [tsMsFile, "call", target, "WatchBooks", "parent=shelves/1"]);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    child.kill("SIGINT");
    assert.deepEqual(await once(child, "close"), [130, null]);
  });
});
