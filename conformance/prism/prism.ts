import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { LibraryService as Library } from "../../gen/library/v1/library_pb.ts";
import { openapi } from "../../src/entries/openapi.ts";
import { restTransport } from "../../src/entries/rest.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { seedLibrary } from "../../src/services/library/library-seed.ts";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { freePort, listening } from "../listening.ts";
import { Checks, type Suite } from "../suite.ts";
import { npmPackages } from "../tools.ts";

/** Unary calls of the library, in an order in which each finds what it needs, with the code that each ends with. */
const calls: readonly (readonly [string, (library: Client<typeof Library>) => Promise<unknown>, Code?])[] = [
  ["ListShelves", (library) => library.listShelves({})],
  ["GetShelf", (library) => library.getShelf({ name: "shelves/1" })],
  ["CreateShelf", (library) => library.createShelf({ shelf: { theme: "New" } })],
  ["ListBooks", (library) => library.listBooks({ parent: "shelves/1", pageSize: 2 })],
  ["GetBook", (library) => library.getBook({ name: "shelves/1/books/1" })],
  ["CreateBook", (library) => library.createBook({ parent: "shelves/1", book: { title: "A", isbn: 1n } })],
  ["UpdateBook", (library) => library.updateBook({ book: { name: "shelves/1/books/1", title: "B" } })],
  [
    "BatchGetBooks",
    (library) => library.batchGetBooks({ parent: "shelves/1", names: ["shelves/1/books/1"] }),
  ],
  ["CheckoutBook", (library) => library.checkoutBook({ name: "shelves/1/books/1", borrower: "me" })],
  ["ReturnBook", (library) => library.returnBook({ name: "shelves/1/books/1" })],
  ["DeleteBook", (library) => library.deleteBook({ name: "shelves/1/books/1" })],
  ["a book that is not there", (library) => library.getBook({ name: "shelves/1/books/none" }), Code.NotFound],
];

/** Prism with our document: as a mock whose answers our client reads, and as a proxy that checks requests and answers. */
export const prism: Suite = {
  name: "prism",
  async run() {
    const folder = await npmPackages(["@stoplight/prism-cli@5.16.0"]);
    const program = join(folder, "node_modules/@stoplight/prism-cli/dist/index.js");
    const scratch = mkdtempSync(join(tmpdir(), "prism-"));
    const checks = new Checks();
    await using upstream = new GrpcServer({ listen: false, logger: false });
    await using http = new HttpServer({ port: 0, logger: false, upstream, faces: [openapi()] });
    const service = new LibraryService(seedLibrary());
    upstream.addService(service);
    http.addService(service);
    await http.start();
    const origin = `http://127.0.0.1:${http.address?.port}`;
    const document = join(scratch, "openapi.json");
    writeFileSync(document, await (await fetch(`${origin}/openapi.json`)).text());
    try {
      // The examples of the document are its answers.
      const told = await start([program, "mock", "--errors", document]);
      for (const [name, call, code] of calls) {
        if (code === undefined)
          await checks.check(`examples: ${name}`, () => made(call, told.url, undefined));
      }
      await end(told.child);
      // Answers by the schemas.
      const mock = await start([program, "mock", "--dynamic", "--errors", document]);
      for (const [name, call, code] of calls) {
        if (code === undefined) await checks.check(`mock: ${name}`, () => madeWithinRange(call, mock.url));
      }
      await end(mock.child);
      const proxy = await start([program, "proxy", "--errors", document, origin]);
      for (const [name, call, code] of calls) {
        await checks.check(`proxy: ${name}`, () => made(call, proxy.url, code));
      }
      await end(proxy.child);
    } finally {
      rmSync(scratch, { recursive: true });
    }
    return checks.result;
  },
};

/**
 * Makes a call of the mock, up to three times: about one of 250 random texts of 19 digits is no int64, which a pattern
 * of one line cannot say.
 */
async function madeWithinRange(
  call: (library: Client<typeof Library>) => Promise<unknown>,
  url: string,
): Promise<void> {
  for (let time = 1; time < 3; time++) {
    try {
      return await made(call, url, undefined);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Internal) throw error;
    }
  }
  await made(call, url, undefined);
}

/** Makes a call by REST. Prism answers what breaks the document with 422, or 500 where the server has broken it. */
async function made(
  call: (library: Client<typeof Library>) => Promise<unknown>,
  url: string,
  code: Code | undefined,
): Promise<void> {
  const violations: string[] = [];
  const transport = restTransport({
    baseUrl: url,
    fetch: async (...request: Parameters<typeof fetch>) => {
      const response = await fetch(...request);
      const found = response.headers.get("sl-violations");
      if (found !== null) violations.push(found);
      if (response.headers.get("content-type")?.startsWith("application/problem+json") === true)
        violations.push(await response.clone().text());
      return response;
    },
  });
  const reason: unknown = await call(createClient(Library, transport)).catch((error: unknown) => error);
  assert.deepEqual(violations, []);
  if (code !== undefined) assert.equal(ConnectError.from(reason).code, code);
  else if (reason instanceof Error) throw reason;
}

/** Starts Prism on a free port. */
async function start(
  words: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const port = await freePort();
  const [program = "", ...more] = words;
  const child = spawn(process.execPath, [program, ...more, "--port", String(port), "--host", "127.0.0.1"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, SCARF_ANALYTICS: "false" },
  });
  await listening(child, port, 120_000);
  return { child, url: `http://127.0.0.1:${port}` };
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
