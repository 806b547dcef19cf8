import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { brotliDecompressSync, createGunzip, gunzipSync, zstdDecompressSync } from "node:zlib";
import { Files } from "../../support/files-service.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";

const run = promisify(execFile);
const long = "a".repeat(2000);
const decoders = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };

/** An answer with its bytes as they came. */
async function ask(
  url: string,
  headers: Record<string, string> = {},
): Promise<{ response: IncomingMessage; body: Buffer }> {
  const request = get(url, { headers, agent: false });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { response, body: Buffer.concat((await response.toArray()) as Buffer[]) };
}

suite("compressed answers", () => {
  let gateway: Gateway;
  const files = new Files();
  before(async () => {
    gateway = await startGateway({ compression: true, etag: true }, [files]);
    files.files.set("text", {
      contentType: "text/plain",
      data: Buffer.from(long),
      headers: { etag: '"v1"' },
    });
    files.files.set("image", { contentType: "image/png", data: Buffer.from(long) });
    files.files.set("part", {
      contentType: "text/plain",
      data: Buffer.from(long),
      headers: { "x-http-status": "206", "content-range": "bytes 0-1999/9999" },
    });
    files.files.set("fixed", {
      contentType: "text/plain",
      data: Buffer.from(long),
      headers: { "cache-control": "no-transform" },
    });
  });
  after(() => gateway[Symbol.asyncDispose]());

  for (const coding of ["gzip", "br", "zstd"] as const) {
    test(`JSON in ${coding}, with its length and for its clients alone`, async () => {
      const { response, body } = await ask(`${gateway.url}/test/v1/echo/${long}`, {
        "accept-encoding": coding,
      });
      assert.equal(response.statusCode, 200);
      assert.equal(response.headers["content-encoding"], coding);
      assert.equal(response.headers["content-length"], String(body.length));
      assert.equal(response.headers.vary, "Accept-Encoding");
      assert.ok(body.length < 1000);
      const { text } = JSON.parse(decoders[coding](body).toString()) as { text: string }; // The echo's reply.
      assert.equal(text, long);
    });
  }

  test("what is small, or not wanted, or in a coding of its own stays as it is", async () => {
    const plain = async (path: string, accepted: string | undefined): Promise<IncomingMessage> => {
      const { response } = await ask(
        gateway.url + path,
        accepted === undefined ? {} : { "accept-encoding": accepted },
      );
      assert.equal(response.headers["content-encoding"], undefined, path);
      return response;
    };
    assert.equal((await plain("/test/v1/echo/a", "gzip")).headers.vary, "Accept-Encoding");
    await plain(`/test/v1/echo/${long}`, undefined);
    await plain(`/test/v1/echo/${long}`, "gzip;q=0, identity");
    await plain("/test/v1/files/part", "gzip");
    await plain("/test/v1/files/fixed", "gzip");
    assert.equal((await plain("/test/v1/files/image", "gzip")).headers.vary, undefined);
  });

  test("a file in another coding has a weak tag, and its client gets 304 by it", async () => {
    const { response, body } = await ask(`${gateway.url}/test/v1/files/text`, { "accept-encoding": "gzip" });
    assert.equal(response.headers.etag, 'W/"v1"');
    assert.equal(gunzipSync(body).toString(), long);
    const again = await ask(`${gateway.url}/test/v1/files/text`, { "if-none-match": 'W/"v1"' });
    assert.equal(again.response.statusCode, 304);
    assert.equal(again.body.length, 0);
  });

  test("errors are compressed, too", async () => {
    const { response, body } = await ask(`${gateway.url}/${long}`, { "accept-encoding": "br" });
    assert.equal(response.statusCode, 404);
    assert.match(brotliDecompressSync(body).toString(), /"code":5/);
  });

  test("S10: events leave at once, compressed too", { timeout: 30_000 }, async () => {
    const query = new URLSearchParams({ text: "a", count: "100", intervalMs: "600000" });
    const request = get(`${gateway.url}/test/v1/repeat/a?${query.toString()}`, {
      headers: { accept: "text/event-stream", "accept-encoding": "gzip" },
      agent: false,
    });
    request.on("error", () => {});
    const [response] = (await once(request, "response")) as [IncomingMessage];
    assert.equal(response.headers["content-type"], "text/event-stream");
    assert.equal(response.headers["cache-control"], "no-cache");
    assert.equal(response.headers["content-encoding"], "gzip");
    assert.match(response.headers.vary ?? "", /Accept-Encoding/);
    const [opening] = (await once(response.pipe(createGunzip()), "data")) as [Buffer];
    assert.match(opening.toString(), /^: open\n\n/);
    request.destroy();
  });

  test("downloads in pieces: text is compressed, films are not", async () => {
    const path = "/test/v1/downloads/x?count=3&pieceBytes=1000&contentType=";
    const text = await ask(`${gateway.url}${path}text/plain`, { "accept-encoding": "zstd" });
    assert.equal(text.response.headers["content-encoding"], "zstd");
    assert.equal(zstdDecompressSync(text.body).length, 3000);
    const film = await ask(`${gateway.url}${path}video/mp4`, { "accept-encoding": "zstd" });
    assert.equal(film.response.headers["content-encoding"], undefined);
    assert.equal(film.body.length, 3000);
  });

  test("curl reads them", async () => {
    const url = `${gateway.url}/test/v1/echo/${long}`;
    const { stdout } = await run("curl", ["-sS", "--compressed", url]);
    assert.equal((JSON.parse(stdout) as { text: string }).text, long);
  });
});

suite("tags of content", () => {
  let gateway: Gateway;
  const files = new Files();
  before(async () => {
    gateway = await startGateway({ etag: true }, [files]);
    files.files.set("tagged", {
      contentType: "text/plain",
      data: Buffer.from("x"),
      headers: { etag: '"own"' },
    });
    files.files.set("plain", { contentType: "text/plain", data: Buffer.from("x") });
  });
  after(() => gateway[Symbol.asyncDispose]());

  test("the same content has the same weak tag, other content another", async () => {
    const path = `${gateway.url}/test/v1/files/plain`;
    const first = (await fetch(path)).headers.get("etag") ?? "";
    assert.match(first, /^W\/"[\w-]{27}"$/);
    assert.equal((await fetch(path)).headers.get("etag"), first);
    const same = await fetch(path, { headers: { "if-none-match": `"other", ${first}` } });
    assert.equal(same.status, 304);
    assert.equal(same.headers.get("etag"), first);
    assert.equal(same.headers.get("content-type"), null);
    assert.equal(await same.text(), "");
    files.files.set("plain", { contentType: "text/plain", data: Buffer.from("y") });
    const changed = await fetch(path, { headers: { "if-none-match": first } });
    assert.equal(changed.status, 200);
    assert.notEqual(changed.headers.get("etag"), first);
  });

  test("a service's own tag is kept", async () => {
    const path = `${gateway.url}/test/v1/files/tagged`;
    assert.equal((await fetch(path)).headers.get("etag"), '"own"');
    assert.equal((await fetch(path, { headers: { "if-none-match": '"own"' } })).status, 304);
    assert.equal((await fetch(path, { headers: { "if-none-match": '"old"' } })).status, 200);
    const head = await fetch(path, { method: "HEAD", headers: { "if-none-match": "*" } });
    assert.equal(head.status, 304);
  });

  test("errors and other methods have none", async () => {
    assert.equal((await fetch(`${gateway.url}/test/v1/files/none`)).headers.get("etag"), null);
    const post = await fetch(`${gateway.url}/tsms.test.v1.EchoService/Echo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(post.headers.get("etag"), null);
  });
});
