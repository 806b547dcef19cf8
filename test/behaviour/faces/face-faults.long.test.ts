/** Faults of faces that need load or large contracts. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { suite, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import type { DescService } from "@bufbuild/protobuf";
import { docs } from "../../../src/entries/docs.ts";
import { graphql } from "../../../src/entries/graphql.ts";
import { mcp } from "../../../src/entries/mcp.ts";
import { openapi } from "../../../src/entries/openapi.ts";
import type { Face } from "../../../src/gateway/faces/face.ts";
import { GrpcServer, HttpServer } from "../../../src/index.ts";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { builtContract } from "../../support/built-contract.ts";
import { largeContract } from "../../support/large-contract.ts";
import { longestTurnMs, threadMs } from "../../support/thread-time.ts";

/** Asks by curl, so that the client takes no time of this thread. @returns how many bytes came */
async function curl(...words: readonly string[]): Promise<number> {
  const child = spawn("curl", ["-sS", "--fail", "--max-time", "60", ...words], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let bytes = 0;
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) bytes += chunk.length;
  if (child.exitCode === null) await once(child, "exit");
  assert.equal(child.exitCode, 0, words.join(" "));
  return bytes;
}

/** A server with all faces. */
async function facesOf(services: readonly DescService[]): Promise<HttpServer> {
  return serverWith([docs(), openapi(), graphql(), mcp({ expose: "all" })], services);
}

async function serverWith(faces: readonly Face[], services: readonly DescService[]): Promise<HttpServer> {
  const http = new HttpServer({ port: 0, logger: false, upstream: new GrpcServer({ listen: false }), faces });
  for (const service of services) http.addService(service);
  await http.start();
  return http;
}

const json = ["-H", "content-type: application/json"];
const listTools = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}';

suite("F07: a contract of 2,000 rpcs and 5,000 types", () => {
  const mcpWords = [...json, "-H", "mcp-protocol-version: 2025-11-25", "-d", listTools];
  const firstDocuments: readonly (readonly [string, (origin: string) => readonly string[], number])[] = [
    ["the console", (origin) => [`${origin}/docs/model.json`], 50],
    ["OpenAPI", (origin) => [`${origin}/openapi.json`], 50],
    ["MCP", (origin) => [...mcpWords, `${origin}/mcp`], 50],
  ];
  const services = [largeContract(2_000, 5_000)];

  for (const [name, words, mostMs] of firstDocuments) {
    test(`F07: the first document of ${name} is made in short turns`, async () => {
      const found: number[] = [];
      // The best of three servers: collections of garbage come when they come.
      for (let count = 0; count < 3; count++) {
        await using http = await facesOf(services);
        const origin = `http://127.0.0.1:${http.address?.port}`;
        found.push(
          await longestTurnMs(
            curl(...words(origin)).then((bytes) => {
              assert.ok(bytes > 100_000, `${bytes} bytes`);
            }),
          ),
        );
      }
      assert.ok(Math.min(...found) <= mostMs, `${found.map(Math.round).join(", ")} ms`);
    });
  }

  test("F07: replaceServices with GraphQL takes the thread at most 500 ms", async () => {
    await using http = await serverWith([graphql()], services);
    const found: number[] = [];
    // Collections of garbage and other programs make one longer, none makes one shorter.
    for (let count = 0; count < 6 && !found.some((ms) => ms <= 500); count++) {
      const next = largeContract(2_000, 5_000);
      const begun = threadMs();
      http.replaceServices([next]);
      found.push(threadMs() - begun);
    }
    assert.ok(Math.min(...found) <= 500, `${found.map(Math.round).join(", ")} ms`);
    const answer = await fetch(`http://127.0.0.1:${http.address?.port}/graphql`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"query":"mutation { call1999(name: \\"a\\") { name } }"}',
    });
    assert.match(await answer.text(), /"code":"UNIMPLEMENTED"/); // No service is behind it.
  });

  test("rpcs of large contracts are compiled when they are called; what is wrong with them is found before", async () => {
    const method = (at: number, status: number): string => `
      rpc Call${at}(A) returns (A) {
        option (google.api.http) = {post: "/v1/calls/${at}" body: "*"};
        option (ts_ms.v1.faces).http_status = ${status};
      }`;
    const contract = (lastStatus: number): DescService => {
      const rpcs = Array.from({ length: 300 }, (_, at) => method(at, at === 299 ? lastStatus : 201));
      const { services: made } = builtContract({
        "many.proto": `
          syntax = "proto3";
          package many.v1;
          import "google/api/annotations.proto";
          import "ts_ms/v1/faces.proto";
          service Many { ${rpcs.join("")} }
          message A { string name = 1; }`,
      });
      return made[0] ?? assert.fail();
    };
    const implementation = { call7: (request: unknown) => request };
    const descriptor = contract(201);
    await using grpc = new GrpcServer({ listen: false, logger: false });
    grpc.addService({ descriptor, ...implementation } as never); // Of a descriptor that the compiler does not know.
    await using http = new HttpServer({ port: 0, logger: false, upstream: grpc });
    http.addService(descriptor);
    await http.start();
    const origin = `http://127.0.0.1:${http.address?.port}`;
    const post = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
      const answer = await fetch(origin + path, {
        method: "POST",
        body: '{"name":"a"}',
        headers: { "content-type": "application/json", ...headers },
      });
      return [answer.status, await answer.text()];
    };
    for (let count = 0; count < 2; count++) {
      assert.deepEqual(await post("/v1/calls/7"), [201, '{"name":"a"}']);
      assert.deepEqual(await post("/many.v1.Many/Call7", { "connect-protocol-version": "1" }), [
        200,
        '{"name":"a"}',
      ]);
    }
    assert.equal((await post("/v1/calls/8"))[0], 501);
    assert.throws(() => http.replaceServices([contract(500)]), /Many\/Call299: http_status/);
    assert.deepEqual(await post("/v1/calls/7"), [201, '{"name":"a"}']);
  });
});

test("F06: while a face refuses other services, no request of any face or route fails, of 500 in a second", async () => {
  const { services } = builtContract({
    "clash.proto": `
      syntax = "proto3";
      package clash.v1;
      import "ts_ms/v1/faces.proto";
      service ClashService {
        rpc Two(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
        rpc Three(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
      }
      message A { string name = 1; }`,
  });
  const library = new LibraryService(seedLibrary());
  await using grpc = new GrpcServer({ listen: false, logger: false }).addService(library);
  // The one that refuses is the last: the others have taken the contract by then.
  const faces = [docs(), graphql(), mcp({ expose: "all" }), openapi()];
  await using http = new HttpServer({ port: 0, logger: false, upstream: grpc, faces });
  http.addService(library);
  await http.start();
  const origin = `http://127.0.0.1:${http.address?.port}`;
  const post = (path: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch(origin + path, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", ...headers },
    });
  const call =
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_book","arguments":{"name":"shelves/1/books/1"}}}';
  const requests: readonly (readonly [() => Promise<Response>, RegExp])[] = [
    [() => fetch(`${origin}/v1/shelves/1/books/1`), /"title":"Dune"/],
    [
      () => post("/graphql", '{"query":"{ getBook(name: \\"shelves/1/books/1\\") { title } }"}'),
      /"title":"Dune"/,
    ],
    [() => post("/mcp", call, { "mcp-protocol-version": "2025-11-25" }), /Dune/],
    [() => fetch(`${origin}/openapi.json`), /"openapi": "3\.1\.1"/],
    [() => fetch(`${origin}/docs/model.json`), /library\.v1/],
  ];
  const documents = async (): Promise<readonly string[]> =>
    Promise.all(
      ["/openapi.json", "/docs/model.json"].map(async (path) => (await fetch(origin + path)).text()),
    );
  const before = await documents();
  const failures: string[] = [];
  let open = 0;
  const ask = async (at: number): Promise<void> => {
    const [send, wanted] = requests[at % requests.length] ?? assert.fail();
    open++;
    try {
      const response = await send();
      const text = await response.text();
      if (!response.ok || !wanted.test(text)) failures.push(`${response.status} ${text.slice(0, 200)}`);
    } catch (error) {
      failures.push(`${String(error)}: ${String((error as Error).cause)}`);
    }
    open--;
  };
  // 500 requests in a second, also where earlier ones wait for their answers, and a refused contract each 100 ms. Each
  // has a connection, of which a server takes so many of one client.
  const asked: Promise<void>[] = [];
  let refused = 0;
  for (const begun = performance.now(); asked.length < 2_000; await wait(1)) {
    const ms = performance.now() - begun;
    while (open < 100 && asked.length < Math.min(2_000, ms / 2)) asked.push(ask(asked.length));
    if (ms < refused * 100) continue;
    refused++;
    assert.throws(
      () => http.replaceServices([library.descriptor, ...services]),
      /the operation id same is that of clash\.v1\.ClashService\/Two and clash\.v1\.ClashService\/Three/,
    );
  }
  await Promise.all(asked);
  assert.deepEqual(failures, []);
  assert.ok(refused >= 5, `${refused} times refused`);
  assert.deepEqual(await documents(), before);
});
