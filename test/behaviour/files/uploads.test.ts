import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { request as httpRequest, type ClientRequest, type IncomingMessage } from "node:http";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { json } from "node:stream/consumers";
import { promisify } from "node:util";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { sha256 } from "../../support/files-service.ts";
import { connectTo, exchangeBytes, readUntil, statusOf } from "../../support/gateway-fixture.ts";
import { type FilesGateway, startFiles } from "./files-fixture.ts";

const run = promisify(execFile);
const mebibyte = 1024 * 1024;
const chunk = 256 * 1024;

/** What `Upload` answers. */
interface UploadReply {
  first: { name: string; tags: string[]; file: { contentType: string } | null };
  sizes: number[];
  chatty: number;
  digest: string;
}

/** Bytes that differ everywhere. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let index = 0, value = 1; index < length; index++) {
    value = (value * 1_103_515_245 + 12_345) & 0x7fffffff;
    bytes[index] = value >> 16;
  }
  return bytes;
}

suite("uploads in one message", () => {
  let server: FilesGateway;
  before(async () => {
    server = await startFiles({ maxBodyBytes: mebibyte });
  });
  after(() => server[Symbol.asyncDispose]());

  const put = async (body: Uint8Array | undefined, headers: Record<string, string>): Promise<unknown> => {
    const response = await fetch(`${server.url}/test/v1/files/a.bin?tags=x&tags=y&file.content_type=no`, {
      method: "PUT",
      headers,
      ...(body === undefined ? {} : { body }),
    });
    assert.equal(response.status, 200);
    return response.json();
  };

  test("a body of any type is a file, path and query bind the rest", async () => {
    const bytes = noise(70_000);
    for (const type of ["image/png", "application/json", "application/proto", "text/plain; charset=latin1"]) {
      assert.deepEqual(await put(bytes, { "content-type": type }), {
        request: { name: "a.bin", file: { contentType: type, data: "", extensions: [] }, tags: ["x", "y"] },
        hasFile: true,
        size: bytes.length,
        digest: sha256([bytes]),
      });
    }
  });

  test("content codings are taken off, as everywhere", async () => {
    const bytes = Buffer.from("a".repeat(1000));
    for (const [coding, body] of [
      ["gzip", gzipSync(bytes)],
      ["br", brotliCompressSync(bytes)],
      ["zstd", zstdCompressSync(bytes)],
    ] as const) {
      const reply = await put(body, { "content-type": "a/b", "content-encoding": coding });
      assert.equal((reply as { digest: string }).digest, sha256([bytes]), coding);
    }
  });

  test("without body and type the field stays unset, with a type it is an empty file", async () => {
    const none = await exchangeBytes(
      server.gateway.port,
      "PUT /test/v1/files/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    );
    assert.match(none, /"hasFile":false/);
    const empty = await put(undefined, { "content-type": "a/b" });
    assert.equal((empty as { hasFile: boolean }).hasFile, true);
  });

  test("a whole request may be a file", async () => {
    const bytes = noise(1000);
    const response = await fetch(`${server.url}/test/v1/mirror?content_type=no`, {
      method: "POST",
      headers: { "content-type": "x/y; z=1" },
      body: bytes,
    });
    assert.equal(response.headers.get("content-type"), "x/y; z=1");
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), bytes);
  });

  test("H17: a body over the limit is 413, announced or not", async () => {
    const path = `${server.url}/test/v1/files/a`;
    const announced = await fetch(path, { method: "PUT", body: noise(mebibyte + 1) });
    assert.equal(announced.status, 413);
    const request = httpRequest(path, { method: "PUT", agent: false });
    request.on("error", () => {});
    request.write(noise(mebibyte));
    request.end("x");
    const [response] = (await once(request, "response")) as [IncomingMessage];
    assert.equal(response.statusCode, 413);
    response.resume();
    assert.equal((await fetch(path, { method: "PUT", body: noise(mebibyte) })).status, 200);
  });
});

suite("uploads in many messages", () => {
  let server: FilesGateway;
  let folder: string;
  before(async () => {
    server = await startFiles({ maxBodyBytes: mebibyte, bodyIdleMs: 500, writeIdleMs: 5000 });
    folder = await mkdtemp(join(tmpdir(), "upload-"));
  });
  after(async () => {
    await server[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  const post = async (body: Uint8Array, headers: Record<string, string> = {}): Promise<UploadReply> => {
    const response = await fetch(`${server.url}/test/v1/uploads/a.bin?tags=x`, {
      method: "POST",
      headers: { "content-type": "video/mp4", ...headers },
      body,
    });
    assert.equal(response.status, 200);
    return (await response.json()) as UploadReply; // As its contract says.
  };

  test(
    "20 MiB arrive exactly, in messages of at most one size, from curl too",
    { timeout: 60_000 },
    async () => {
      const bytes = noise(20 * mebibyte + 5);
      const expected: Omit<UploadReply, "sizes"> = {
        first: {
          name: "a.bin",
          tags: ["x"],
          file: { contentType: "video/mp4", data: "", extensions: [] } as never,
        },
        chatty: 0,
        digest: sha256([bytes]),
      };
      const { first, sizes, ...rest } = await post(bytes);
      assertSizes(sizes, bytes.length);
      assert.deepEqual(
        { first: { ...first, data: undefined }, ...rest },
        { ...expected, first: { ...expected.first, data: undefined } },
      );
      const file = join(folder, "big");
      await writeFile(file, bytes);
      const url = `${server.url}/test/v1/uploads/a.bin`;
      for (const expect of ["Expect:", "Expect: 100-continue"]) {
        const { stdout } = await run("curl", ["-sS", "-T", file, "-X", "POST", "-H", expect, url]);
        const reply = JSON.parse(stdout) as UploadReply; // As its contract says.
        assert.equal(reply.digest, expected.digest);
        assertSizes(reply.sizes, bytes.length);
      }
    },
  );

  test("compressed uploads are cut after decompression", async () => {
    const bytes = Buffer.alloc(3 * chunk + 1, "ab");
    const reply = await post(gzipSync(bytes), { "content-encoding": "gzip" });
    assertSizes(reply.sizes, bytes.length);
    assert.equal(reply.digest, sha256([bytes]));
  });

  test("an empty upload is one message with the bindings", async () => {
    const reply = await post(new Uint8Array());
    assert.deepEqual(reply.sizes, [0]);
    assert.equal(reply.first.name, "a.bin");
  });

  test("unknown codings are 415, broken ones 400", async () => {
    const path = `${server.url}/test/v1/uploads/a`;
    const unknown = await fetch(path, { method: "POST", headers: { "content-encoding": "lzma" }, body: "x" });
    assert.equal(unknown.status, 415);
    const broken = await fetch(path, {
      method: "POST",
      headers: { "content-encoding": "gzip" },
      body: "xxxxxx",
    });
    assert.equal(broken.status, 400);
  });

  test("what is sent now arrives now, while the upload goes on", { timeout: 30_000 }, async () => {
    const { files } = server;
    const request = startUpload(server.url);
    for (const text of ["live ", "audio"]) {
      const before = files.received;
      request.write(text);
      await files.until(({ received }) => received > before);
    }
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const { sizes, digest } = (await json(response)) as UploadReply; // As its contract says.
    assert.deepEqual([sizes, digest], [[5, 5], sha256([Buffer.from("live audio")])]);
  });

  test("a service that does not read holds its client back", { timeout: 60_000 }, async () => {
    const { files } = server;
    const gate = Promise.withResolvers<void>();
    files.hold = () => gate.promise;
    const before = files.received;
    const request = startUpload(server.url);
    const piece = noise(chunk);
    let written = 0;
    while (written < 60 * mebibyte) {
      written += piece.length;
      if (request.write(piece)) continue;
      const drained = await Promise.race([
        once(request, "drain").then(() => true),
        new Promise<false>((resolve) => setTimeout(resolve, 700, false)),
      ]);
      if (!drained) break;
    }
    assert.ok(written < 40 * mebibyte, `${written} bytes were taken`); // Mostly what sockets hold.
    assert.equal(files.received - before, 1);
    gate.resolve();
    files.hold = undefined;
    request.end();
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const reply = (await response.toArray()).join("");
    const { sizes } = JSON.parse(reply) as UploadReply; // As its contract says.
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      written,
    );
  });

  test("S04: a client that leaves cancels its upload", { timeout: 30_000 }, async () => {
    const { files } = server;
    const { cancelled, received } = files;
    const request = startUpload(server.url);
    request.on("error", () => {});
    request.write(noise(chunk));
    await files.until((all) => all.received > received);
    request.destroy();
    await files.until((all) => all.cancelled > cancelled);
    await server.gateway.stillServes();
  });

  test("an upload that brings no byte for too long is 408", { timeout: 30_000 }, async () => {
    const socket = await connectTo(server.gateway.port);
    socket.write("POST /test/v1/uploads/a HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n1234");
    const answer = await readUntil(socket, () => false);
    assert.equal(statusOf(answer), 408);
  });

  test("bytes of a bidi rpc go on as they come", { timeout: 30_000 }, async () => {
    const socket = await connectTo(server.gateway.port);
    socket.write(
      "POST /test/v1/pipe HTTP/1.1\r\nhost: a\r\ncontent-type: x/y\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    let seen = "";
    const until = async (text: string): Promise<void> => {
      while (!seen.includes(text)) seen += ((await once(socket, "data")) as [Buffer])[0].toString("latin1");
    };
    await until("abc");
    assert.match(seen, /\r\ncontent-type: x\/y\r\n/);
    socket.write("3\r\ndef\r\n");
    await until("def");
    socket.write("0\r\n\r\n");
    await until("0\r\n\r\n");
    socket.destroy();
  });
});

/** Messages are whole, but where the machine was too slow to bring the next bytes in time. */
function assertSizes(sizes: readonly number[], total: number): void {
  assert.ok(
    sizes.every((size) => size > 0 && size <= chunk),
    sizes.join(),
  );
  assert.equal(
    sizes.reduce((sum, size) => sum + size, 0),
    total,
  );
}

function startUpload(url: string): ClientRequest {
  return httpRequest(`${url}/test/v1/uploads/a`, { method: "POST", agent: false });
}

test("a size that no upload can be cut into is refused before anything is served", async () => {
  await assert.rejects(startFiles({ uploadChunkBytes: 0 }), /uploadChunkBytes: 0 is no number of bytes/);
});
