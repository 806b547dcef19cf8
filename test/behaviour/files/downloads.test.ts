import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { connectTo, readUntil } from "../../support/gateway-fixture.ts";
import { type FilesGateway, startFiles } from "./files-fixture.ts";

const run = promisify(execFile);
const mebibyte = 1024 * 1024;
const page = "<script>alert(1)</script>\0\r\n\xff";

suite("files in one message", () => {
  let server: FilesGateway;
  before(async () => {
    server = await startFiles();
    server.files.files.set("page", { contentType: "text/html", data: Buffer.from(page, "latin1") });
    server.files.files.set("report", {
      contentType: "application/pdf",
      data: Buffer.from("0123456789"),
      headers: {
        "content-disposition": 'attachment; filename="report.pdf"',
        etag: '"v1"',
        "cache-control": "private, max-age=60",
        "accept-ranges": "bytes",
        "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT",
        "content-length": "3",
        "content-encoding": "gzip",
        "content-type": "text/evil",
        "x-content-type-options": "sniff",
        "x-own": "1",
      },
    });
    server.files.files.set("part", {
      contentType: "application/pdf",
      data: Buffer.from("234"),
      headers: { "x-http-status": "206", "content-range": "bytes 2-4/10" },
    });
    server.files.files.set("same", {
      contentType: "application/pdf",
      data: Buffer.from("unseen"),
      headers: { "x-http-status": "304", etag: '"v1"' },
    });
    server.files.files.set("untyped", { contentType: "", data: Buffer.from("x") });
    server.files.files.set("split", { contentType: "a/b\r\nx-evil: 1", data: Buffer.from("x") });
    server.files.files.set("empty", { contentType: "text/css", data: Buffer.alloc(0) });
  });
  after(() => server[Symbol.asyncDispose]());

  test("T27: a page keeps its type and its bytes, and nobody may guess another type", async () => {
    const response = await fetch(`${server.url}/test/v1/files/page`, {
      headers: { accept: "application/json" },
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "text/html");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("content-length"), String(page.length));
    assert.equal(Buffer.from(await response.arrayBuffer()).toString("latin1"), page);
  });

  test("metadata of a file become its headers, names of the protocol do not", async () => {
    const { headers, ok } = await fetch(`${server.url}/test/v1/files/report`);
    assert.ok(ok);
    const found = Object.fromEntries(headers);
    assert.equal(found["content-disposition"], 'attachment; filename="report.pdf"');
    assert.equal(found["etag"], '"v1"');
    assert.equal(found["cache-control"], "private, max-age=60");
    assert.equal(found["accept-ranges"], "bytes");
    assert.equal(found["last-modified"], "Wed, 21 Oct 2015 07:28:00 GMT");
    assert.equal(found["content-length"], "10");
    assert.equal(found["content-encoding"], undefined);
    assert.equal(found["content-type"], "application/pdf");
    assert.equal(found["x-content-type-options"], "nosniff");
    assert.equal(found["x-own"], "1");
  });

  test("range and if-range reach the service, which answers 206 or 304", async () => {
    const ranged = { range: "bytes=2-4", "if-range": '"v1"' };
    const part = await fetch(`${server.url}/test/v1/files/part`, { headers: ranged });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get("content-range"), "bytes 2-4/10");
    assert.equal(await part.text(), "234");
    assert.equal(server.files.lastHeader?.get("range"), "bytes=2-4");
    assert.equal(server.files.lastHeader.get("if-range"), '"v1"');
    const same = await fetch(`${server.url}/test/v1/files/same`, { headers: { "if-none-match": '"v1"' } });
    assert.equal(same.status, 304);
    assert.equal(same.headers.get("etag"), '"v1"');
    assert.equal(await same.text(), "");
  });

  test("a range that no file has is 416 and says how long the file is", async () => {
    const curl = (...args: string[]) =>
      run("curl", ["-s", "-i", ...args, `${server.url}/test/v1/files/untyped`], { encoding: "latin1" });
    const { stdout: answer } = await curl("-r", "5-9");
    assert.match(answer, /^HTTP\/1\.1 416 Range Not Satisfiable\r\n/);
    assert.match(answer, /\r\ncontent-range: bytes \*\/1\r\n/);
    assert.match(answer, /\r\ncontent-type: application\/json\r\n/);
    assert.match(answer, /\r\n\r\n\{"code":11,"message":"there are 1 bytes","details":\[\]\}$/);
    const good = await curl("-r", "0-9");
    assert.match(good.stdout, /^HTTP\/1\.1 200 OK\r\n/);
    // Without a range of the client's the same error is a bad request, as everywhere.
    const head = await curl("-I", "-r", "5-9");
    assert.match(head.stdout, /^HTTP\/1\.1 400 /);
  });

  test("range does not reach services whose replies are no files", async () => {
    const response = await fetch(`${server.url}/test/v1/echo/a`, { headers: { range: "bytes=0-1" } });
    const { headers } = (await response.json()) as { headers: Record<string, string> }; // The echo's reply.
    assert.equal(headers["range"], undefined);
  });

  test("a file without a type, or with one that no header holds, is unknown bytes", async () => {
    for (const name of ["untyped", "split"]) {
      const response = await fetch(`${server.url}/test/v1/files/${name}`);
      assert.equal(response.headers.get("content-type"), "application/octet-stream", name);
      assert.equal(response.headers.get("x-evil"), null);
    }
  });

  test("an empty file is empty, HEAD has its headers alone", async () => {
    const empty = await fetch(`${server.url}/test/v1/files/empty`);
    assert.equal(empty.headers.get("content-length"), "0");
    assert.equal(empty.headers.get("content-type"), "text/css");
    const head = await fetch(`${server.url}/test/v1/files/page`, { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), String(page.length));
    assert.equal(await head.text(), "");
  });

  test("a missing file is an error as any other", async () => {
    const response = await fetch(`${server.url}/test/v1/files/none`);
    assert.equal(response.status, 404);
    assert.deepEqual(await response.json(), { code: 5, message: "no file none", details: [] });
  });
});

suite("files in pieces", () => {
  let server: FilesGateway;
  before(async () => {
    server = await startFiles({ writeIdleMs: 1000 });
  });
  after(() => server[Symbol.asyncDispose]());

  const pathOf = (query: Record<string, string | number>): string =>
    `/test/v1/downloads/x?${new URLSearchParams(Object.entries(query).map(([k, v]) => [k, String(v)])).toString()}`;

  test("a download is its pieces with nothing between, under the type of the first", async () => {
    const { stdout } = await run("curl", [
      "-sSi",
      server.url + pathOf({ count: 3, pieceBytes: 2, contentType: "a/b" }),
    ]);
    assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(stdout, /\r\ncontent-type: a\/b\r\n/);
    assert.match(stdout, /\r\nx-content-type-options: nosniff\r\n/);
    assert.equal(stdout.slice(stdout.indexOf("\r\n\r\n") + 4), "\0\0\x01\x01\x02\x02");
  });

  test("a field that is the body is a file too", async () => {
    const response = await fetch(`${server.url}/test/v1/exports/3`);
    assert.equal(response.headers.get("content-type"), "text/csv");
    assert.equal(await response.text(), "0,1,2,");
  });

  test("20 MiB arrive exactly while little of it is held", { timeout: 60_000 }, async () => {
    const pieceBytes = 256 * 1024;
    const request = get(server.url + pathOf({ count: 80, pieceBytes }));
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let received = 0;
    let ahead = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      for (const byte of [chunk[0], chunk.at(-1)]) assert.ok(byte !== undefined);
      const start = Math.floor(received / pieceBytes);
      assert.equal(chunk[0], start % 251);
      received += chunk.length;
      assert.equal(chunk.at(-1), Math.floor((received - 1) / pieceBytes) % 251);
      ahead = Math.max(ahead, server.files.produced * pieceBytes - received);
    }
    assert.equal(received, 20 * mebibyte);
    assert.ok(ahead < 12 * mebibyte, `${ahead} bytes ahead of the reader`); // Mostly what sockets hold.
  });

  test(
    "H14: a download that nobody reads pauses its service, and is closed when nothing moves",
    { timeout: 60_000 },
    async () => {
      const { files } = server;
      const [before, cancelled] = [files.produced, files.cancelled];
      const socket = await connectTo(server.gateway.port);
      socket.pause();
      const memory = process.memoryUsage().arrayBuffers;
      socket.write(`GET ${pathOf({ count: 200, pieceBytes: 256 * 1024 })} HTTP/1.1\r\nhost: a\r\n\r\n`);
      await files.until((all) => all.cancelled > cancelled);
      const pieces = files.produced - before;
      assert.ok(pieces < 100, `${pieces} of 200 pieces were given`);
      assert.ok(process.memoryUsage().arrayBuffers - memory < 32 * mebibyte);
      socket.destroy();
      await server.gateway.stillServes();
    },
  );

  test("S04: a client that leaves cancels its download", { timeout: 30_000 }, async () => {
    const { files } = server;
    const { cancelled } = files;
    const request = get(server.url + pathOf({ pieceBytes: 1000 }));
    request.on("error", () => {});
    const [response] = (await once(request, "response")) as [IncomingMessage];
    await once(response, "data");
    response.on("error", () => {});
    const started = performance.now();
    request.destroy();
    await files.until((all) => all.cancelled > cancelled);
    assert.ok(performance.now() - started < 5000);
  });

  test("an error before the first byte has a status of its own", async () => {
    for (const query of [
      { failAfter: 0, pieceBytes: 3 },
      { failAfter: 1, pieceBytes: 0, contentType: "a/b" },
    ]) {
      const response = await fetch(server.url + pathOf(query));
      assert.equal(response.status, 500);
      assert.equal(response.headers.get("content-type"), "application/json");
      assert.deepEqual(await response.json(), { code: 15, message: "the disk broke", details: [] });
    }
  });

  test("an error after the first byte cuts the connection, and nothing is added to the file", async () => {
    const failing = pathOf({ count: 2, failAfter: 2, pieceBytes: 5, contentType: "text/plain" });
    const socket = await connectTo(server.gateway.port);
    socket.write(`GET ${failing} HTTP/1.1\r\nhost: a\r\n\r\n`);
    const answer = await readUntil(socket, () => false);
    assert.match(answer, /^HTTP\/1\.1 200 /);
    const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
    assert.equal(
      body.replaceAll(/^[0-9a-f]+\r\n|\r\n(?:[0-9a-f]+\r\n)?/g, ""),
      "\0\0\0\0\0\x01\x01\x01\x01\x01",
    );
    assert.ok(!body.includes("0\r\n\r\n"));
    const curl = await run("curl", ["-sS", "-o", "/dev/null", server.url + failing]).catch(
      (error: unknown) => error,
    );
    assert.equal((curl as { code?: number }).code, 18); // "Partial file".
  });

  test("a HTTP/1.0 client sees a reset where a file is only a part", async () => {
    const socket = await connectTo(server.gateway.port);
    const reset = new Promise<NodeJS.ErrnoException>((resolve) => socket.once("error", resolve));
    socket.resume().write(`GET ${pathOf({ count: 1, failAfter: 1, pieceBytes: 5 })} HTTP/1.0\r\n\r\n`);
    assert.equal((await reset).code, "ECONNRESET");
  });

  test("an empty stream is an empty file; HEAD asks for no more than the head", async () => {
    const empty = await fetch(`${server.url}/test/v1/exports/0`);
    assert.equal(empty.status, 200);
    assert.equal(await empty.text(), "");
    const { files } = server;
    const { cancelled } = files;
    const head = await fetch(server.url + pathOf({ pieceBytes: 5, contentType: "a/b" }), { method: "HEAD" });
    assert.equal(head.headers.get("content-type"), "a/b");
    assert.equal(await head.text(), "");
    await files.until((all) => all.cancelled > cancelled);
  });

  test("range, 206 and trailers go with pieces, too", async () => {
    server.files.files.set("x", {
      contentType: "",
      data: new Uint8Array(),
      headers: { "x-http-status": "206", "content-range": "bytes 0-1/9", "content-disposition": "inline" },
    });
    const socket = await connectTo(server.gateway.port);
    const path = pathOf({ count: 1, pieceBytes: 2, contentType: "a/b" });
    socket.write(
      `GET ${path} HTTP/1.1\r\nhost: a\r\nrange: bytes=0-1\r\nte: trailers\r\nconnection: close\r\n\r\n`,
    );
    const answer = await readUntil(socket, () => false);
    server.files.files.clear();
    assert.match(answer, /^HTTP\/1\.1 206 /);
    assert.match(answer, /\r\ncontent-range: bytes 0-1\/9\r\n/);
    assert.match(answer, /\r\ncontent-disposition: inline\r\n/);
    assert.match(answer, /\r\n0\r\nx-pieces: 1\r\n\r\n$/);
    assert.equal(server.files.lastHeader?.get("range"), "bytes=0-1");
  });

  const lengths: readonly [
    name: string,
    headers: Record<string, string>,
    said: string | null,
    good: boolean,
  ][] = [
    ["its service says", { "x-http-content-length": "6" }, "6", true],
    ["its range has", { "x-http-status": "206", "content-range": "bytes 4-9/100" }, "6", true],
    ["nobody says", { "x-http-content-length": "six" }, null, true],
    ["is too small", { "x-http-content-length": "5" }, "5", false],
    ["is too large", { "x-http-content-length": "7" }, "7", false],
  ];
  for (const [name, headers, said, good] of lengths) {
    test(`pieces whose length ${name} have it in their head`, async () => {
      server.files.files.set("x", { contentType: "", data: new Uint8Array(), headers });
      const path = pathOf({ count: 2, pieceBytes: 3, contentType: "a/b" });
      try {
        const reply = await fetch(server.url + path, { headers: { range: "bytes=4-9" } });
        assert.equal(reply.headers.get("content-length"), said);
        assert.equal(reply.headers.get("x-http-content-length"), null);
        if (good) assert.equal((await reply.arrayBuffer()).byteLength, 6);
        else await assert.rejects(reply.arrayBuffer());
        await server.gateway.stillServes();
      } finally {
        server.files.files.clear();
      }
    });
  }

  test("HEAD tells the length, and a range that no file has is 416", async () => {
    server.files.files.set("x", { contentType: "", data: Buffer.alloc(3) });
    const path = pathOf({ count: 1, pieceBytes: 3, contentType: "a/b" });
    const { stdout } = await run("curl", ["-s", "-i", "-r", "3-", server.url + path]);
    assert.match(stdout, /^HTTP\/1\.1 416 [^]*\r\ncontent-range: bytes \*\/3\r\n/);
    const headers = { "x-http-content-length": "3" };
    server.files.files.set("x", { contentType: "", data: Buffer.alloc(3), headers });
    const head = await fetch(server.url + path, { method: "HEAD" });
    server.files.files.clear();
    assert.equal(head.headers.get("content-length"), "3");
    assert.equal(await head.text(), "");
  });
});
