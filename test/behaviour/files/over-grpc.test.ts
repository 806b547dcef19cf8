import assert from "node:assert/strict";
import { test } from "node:test";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Files, sha256 } from "../../support/files-service.ts";

const mebibyte = 1024 * 1024;

test(
  "files go through a network of gRPC as they are, 20 MiB and their metadata",
  { timeout: 60_000 },
  async (t) => {
    const files = new Files();
    const grpc = new GrpcServer({ port: 0 }).addService(files);
    await grpc.start();
    t.after(() => grpc.gracefulStop({ graceMs: 0 }));
    const http = new HttpServer({ port: 0, upstream: grpc, dial: "network" }).addService(files);
    await http.start();
    t.after(() => http.gracefulStop({ graceMs: 0 }));
    const url = `http://127.0.0.1:${http.address?.port}`;

    files.files.set("a", {
      contentType: "text/html",
      data: Buffer.from("\0<p>"),
      headers: { "content-disposition": "inline", "content-range": "bytes 0-3/9", "x-http-status": "206" },
    });
    const part = await fetch(`${url}/test/v1/files/a`, { headers: { range: "bytes=0-3" } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get("content-type"), "text/html");
    assert.equal(part.headers.get("content-disposition"), "inline");
    assert.equal(part.headers.get("content-range"), "bytes 0-3/9");
    assert.equal(await part.text(), "\0<p>");
    assert.equal(files.lastHeader?.get("range"), "bytes=0-3");

    files.files.set("b", { contentType: "", data: Buffer.alloc(3) });
    const none = await fetch(`${url}/test/v1/files/b`, { headers: { range: "bytes=3-" } });
    assert.equal(none.status, 416);
    assert.equal(none.headers.get("content-range"), "bytes */3");

    const bytes = Buffer.alloc(20 * mebibyte, "0123456789abc");
    const sent = await fetch(`${url}/test/v1/uploads/a`, { method: "POST", body: bytes });
    const { digest, sizes } = (await sent.json()) as { digest: string; sizes: number[] }; // As its contract says.
    assert.equal(digest, sha256([bytes]));
    // How the bytes are divided depends on when they come; pieces.test.ts has that by a virtual clock.
    assert.ok(
      sizes.every((size) => size > 0 && size <= 262_144),
      sizes.join(),
    );
    assert.equal(
      sizes.reduce((sum, size) => sum + size, 0),
      bytes.length,
    );

    files.files.set("a", {
      contentType: "",
      data: Buffer.alloc(0),
      headers: { "x-http-content-length": String(20 * mebibyte) },
    });
    const got = await fetch(`${url}/test/v1/downloads/a?count=80&pieceBytes=262144&contentType=a/b`);
    assert.equal(got.headers.get("content-length"), String(20 * mebibyte));
    const received = Buffer.from(await got.arrayBuffer());
    const expected = Array.from({ length: 80 }, (_, index) => new Uint8Array(262_144).fill(index));
    assert.equal(sha256([received]), sha256(expected));
  },
);
