import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import Fastify from "fastify";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import { openPages } from "../../../src/gateway/pages/pages.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { bodyOf, connectTo, startGateway, statusOf } from "../../support/gateway-fixture.ts";
import { apiKeys } from "../../../src/core/security/auth-schemes.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { createSecurity } from "../../../src/core/security/create-security.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { curl } from "../security/whoami.ts";
import { fieldOf, large, StaticSite } from "./site.ts";

suite("S7 files at the root, behind the rpcs:", () => {
  let site: StaticSite;
  before(async () => {
    site = await StaticSite.start();
  });
  after(() => site[Symbol.asyncDispose]());

  test("a file, its type, length, tag and time; HEAD has the same without a body", async () => {
    const got = await site.raw("/assets/app.js?v=1");
    assert.equal(statusOf(got), 200);
    assert.match(fieldOf(got, "content-type") ?? "", /^(?:text|application)\/javascript; charset=utf-8$/);
    assert.equal(fieldOf(got, "cache-control"), "public, max-age=0");
    assert.equal(fieldOf(got, "x-content-type-options"), "nosniff");
    assert.match(fieldOf(got, "etag") ?? "", /^W\/"/);
    assert.equal(Number(fieldOf(got, "content-length")), bodyOf(got).length);
    const head = await site.raw("/assets/app.js?v=1", "", "HEAD");
    assert.equal(statusOf(head), 200);
    assert.equal(fieldOf(head, "content-length"), fieldOf(got, "content-length"));
    assert.equal(fieldOf(head, "etag"), fieldOf(got, "etag"));
    assert.equal(bodyOf(head), "");
  });

  test("rpcs come first, and other paths, methods and encodings of their names are as without files", async () => {
    assert.match(bodyOf(await site.raw("/test/v1/echo/x")), /"text":"x"/);
    assert.equal(statusOf(await site.raw("/test/v1/echo", "", "DELETE")), 405);
    assert.equal(statusOf(await site.raw("/nothing")), 404);
    assert.equal(statusOf(await site.raw("/nothing", "Content-Length: 0\r\n", "POST")), 404);
    assert.equal(statusOf(await site.raw("/%zz")), 400);
    assert.equal(statusOf(await site.raw("/healthz")), 200);
  });

  test("folders have their index, and a slash at their end", async () => {
    assert.match(bodyOf(await site.raw("/")), /home/);
    assert.match(bodyOf(await site.raw("/docs/")), /docs/);
    for (const coding of ["", "Accept-Encoding: br, gzip\r\n"]) {
      const moved = await site.raw("/docs?a=b%2Fc", coding);
      assert.deepEqual([statusOf(moved), fieldOf(moved, "location")], [301, "./docs/?a=b%2Fc"]);
    }
    for (const path of ["/empty", "/empty/", "/assets", "/assets/"]) {
      assert.equal(statusOf(await site.raw(path)), 404, path);
    }
  });

  test("only canonical paths: everything else is 404, and nothing outside is ever sent", async () => {
    const paths = [
      "//index.html",
      "/assets//app.js",
      "/./index.html",
      "/assets/./app.js",
      "/assets/../index.html",
      "/../outside/secret.txt",
      "/../../../../etc/passwd",
      "/assets/..",
      "/assets/.",
      "/%2e/index.html",
      "/%2E%2e/outside/secret.txt",
      "/.%2e/outside/secret.txt",
      "/assets/%2e%2e/index.html",
      "/assets%2fapp.js",
      "/assets%2Fapp.js",
      "/assets/..%2findex.html",
      "/assets\\app.js",
      "/assets%5capp.js",
      "/..%5coutside%5csecret.txt",
      "/index.html%00",
      "/index.html%00.js",
      "/%252e%252e/outside/secret.txt",
      "/index.html/",
      "/index.html/.",
      "/index.html/x",
    ];
    for (const path of paths) {
      const answer = await site.raw(path);
      assert.ok([404, 400].includes(statusOf(answer)), `${path} ${answer.slice(0, 40)}`);
      if (!/%00|\\/.test(path)) assert.equal(statusOf(answer), 404, path);
      assert.doesNotMatch(answer, /THE-SECRET|<title>|export const/, path);
    }
  });

  test("names with a dot first, and links that lead out of the folder, are 404", async () => {
    const paths = [
      "/.env",
      "/%2eenv",
      "/.git/config",
      "/%2Egit/config",
      "/leak.txt",
      "/leak/secret.txt",
      "/leak/",
      "/leak",
    ];
    for (const path of paths) {
      const answer = await site.raw(path, "Accept: text/html\r\n");
      assert.equal(statusOf(answer), 404, path);
      assert.doesNotMatch(answer, /THE-SECRET/, path);
    }
    assert.match(bodyOf(await site.raw("/alias.html")), /home/);
    const css = await site.raw("/assets/app.css", "Accept-Encoding: br\r\n");
    assert.equal(statusOf(css), 404); // Its precompressed file is such a link.
  });

  test("names in other letters are encoded as UTF-8", async () => {
    assert.equal(bodyOf(await site.raw("/assets/%C3%A4%20b%23%3F.txt")), "odd");
    assert.equal(statusOf(await site.raw("/assets/%E4.txt")), 400);
  });

  test("conditions: 304, 412", async () => {
    const first = await site.raw("/assets/app.js");
    const tag = fieldOf(first, "etag") ?? "";
    const same = await site.raw("/assets/app.js", `If-None-Match: ${tag}\r\n`);
    assert.deepEqual([statusOf(same), bodyOf(same)], [304, ""]);
    assert.equal(fieldOf(same, "etag"), tag);
    assert.equal(fieldOf(same, "content-length"), undefined);
    const since = fieldOf(first, "last-modified") ?? "";
    assert.equal(statusOf(await site.raw("/assets/app.js", `If-Modified-Since: ${since}\r\n`)), 304);
    assert.equal(statusOf(await site.raw("/assets/app.js", 'If-None-Match: "other"\r\n')), 200);
    assert.equal(statusOf(await site.raw("/assets/app.js", 'If-Match: "other"\r\n')), 412);
  });

  test("ranges: 206, 416, and the whole file for several and for an older one", async () => {
    const part = await site.raw("/large.bin", "Range: bytes=10-19\r\n");
    assert.deepEqual(
      [statusOf(part), bodyOf(part), fieldOf(part, "content-range"), fieldOf(part, "content-length")],
      [206, "abcdef0123", `bytes 10-19/${large.length}`, "10"],
    );
    const end = await site.raw("/large.bin", "Range: bytes=-70000\r\n");
    assert.deepEqual([statusOf(end), bodyOf(end).length], [206, 70_000]);
    const beyond = await site.raw("/large.bin", "Range: bytes=2000000-\r\n");
    assert.deepEqual([statusOf(beyond), fieldOf(beyond, "content-range")], [416, `bytes */${large.length}`]);
    for (const fields of ["Range: bytes=0-1,5-6\r\n", 'Range: bytes=0-1\r\nIf-Range: "old"\r\n']) {
      assert.equal(statusOf(await site.raw("/large.bin", fields)), 200, fields);
    }
  });

  test("precompressed files beside, by what the client accepts", async () => {
    const plain = Buffer.from(bodyOf(await site.raw("/assets/app.js")), "latin1");
    for (const [accept, coding, decode] of [
      ["br, gzip", "br", brotliDecompressSync],
      ["gzip", "gzip", gunzipSync],
      ["gzip, br;q=0", "gzip", gunzipSync],
    ] as const) {
      const answer = await curl("-H", `Accept-Encoding: ${accept}`, `${site.gateway.url}/assets/app.js`);
      assert.equal(answer.headers.get("content-encoding"), coding, accept);
      assert.match(answer.headers.get("content-type") ?? "", /javascript/);
      assert.match(answer.headers.get("vary") ?? "", /accept-encoding/i);
      assert.deepEqual(decode(Buffer.from(answer.body, "latin1")), plain);
    }
    const none = await curl("-H", "Accept-Encoding: identity", `${site.gateway.url}/assets/app.js`);
    assert.equal(none.headers.get("content-encoding"), undefined);
    assert.match(none.headers.get("vary") ?? "", /accept-encoding/i);
  });

  for (const version of ["--http1.0", "--http1.1", "--http2-prior-knowledge"]) {
    test(`${version}: a large file comes whole`, async () => {
      const { status, body, headers } = await curl(version, `${site.gateway.url}/large.bin`);
      assert.deepEqual([status, headers.get("content-length")], [200, String(large.length)]);
      assert.ok(Buffer.from(body, "latin1").equals(large));
      const head = await curl(version, "--head", `${site.gateway.url}/large.bin`);
      assert.equal(head.headers.get("content-length"), String(large.length));
    });
  }

  test("a client that leaves in the middle leaves no file open", async () => {
    const open = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);
    await curl(`${site.gateway.url}/large.bin`);
    const socket = await connectTo(site.gateway.port);
    const earlier = open();
    for (let i = 0; i < 20; i++) {
      const other = await connectTo(site.gateway.port);
      other.write("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await once(other, "data");
      other.destroy();
    }
    socket.destroy();
    for (let i = 0; i < 200 && open() > earlier; i++) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(open() <= earlier, `${open()} > ${earlier}`);
  });
});

suite("S7 folders with a prefix:", () => {
  test("files, times, patterns that never change, and 405", async () => {
    await using site = await StaticSite.start((dir) => [
      { prefix: "/app/", dir, maxAgeMs: 60_000, immutable: "assets/**" },
    ]);
    assert.match(bodyOf(await site.raw("/app/")), /home/);
    assert.equal(fieldOf(await site.raw("/app/index.html"), "cache-control"), "public, max-age=60");
    const forever = "public, max-age=31536000, immutable";
    assert.equal(fieldOf(await site.raw("/app/assets/app.js"), "cache-control"), forever);
    const moved = await site.raw("/app?x");
    assert.deepEqual([statusOf(moved), fieldOf(moved, "location")], [301, "./app/?x"]);
    assert.equal(statusOf(await site.raw("/index.html")), 404);
    assert.equal(statusOf(await site.raw("/ap%70/index.html")), 200);
    const posted = await site.raw("/app/index.html", "Content-Length: 0\r\n", "POST");
    assert.deepEqual([statusOf(posted), fieldOf(posted, "allow")], [405, "GET, HEAD, OPTIONS"]);
    assert.equal(statusOf(await site.raw("/app/", "", "OPTIONS")), 204);
  });

  test("a prefix that hides a route of an rpc is an error of the start that names both", async () => {
    for (const prefix of ["/test/", "/test/v1/echo/", "/tsms.test.v1.EchoService/"]) {
      await assert.rejects(
        StaticSite.start((dir) => [{ prefix, dir }]),
        (error: Error) =>
          error.message.includes(`the folder at ${prefix} would hide `) &&
          error.message.includes("tsms.test.v1.EchoService/"),
        prefix,
      );
    }
    await using _ = await StaticSite.start((dir) => [{ prefix: "/test/v2/", dir }]);
  });

  test("fallback: pages of a program in the browser, not files that are missing", async () => {
    await using site = await StaticSite.start((dir) => [
      { prefix: "/", dir, fallback: "index.html", maxAgeMs: 60_000 },
    ]);
    const html = "Accept: text/html,application/xhtml+xml;q=0.9\r\n";
    const page = await site.raw("/books/42", html);
    assert.deepEqual([statusOf(page), fieldOf(page, "cache-control")], [200, "no-cache"]);
    assert.match(bodyOf(page), /home/);
    assert.equal(statusOf(await site.raw("/assets/gone.js", "Accept: */*\r\n")), 404);
    assert.equal(statusOf(await site.raw("/.env", html)), 404);
    assert.equal(statusOf(await site.raw("/leak.txt", html)), 404);
    assert.equal(statusOf(await site.raw("/a/../b", html)), 404);
    assert.equal(statusOf(await site.raw("/test/v1/echo", html, "DELETE")), 405);
    assert.equal(statusOf(await site.raw("/books/42", html, "POST")), 404);
  });

  test("the longest prefix counts, and a folder inside another one is served by its own alone", async () => {
    await using site = await StaticSite.start((dir) => [
      { prefix: "/", dir },
      { prefix: "/private/", dir: `${dir}/docs`, access: "deny" },
    ]);
    assert.equal(statusOf(await site.raw("/assets/app.js")), 200);
    for (const path of ["/private/", "/private/index.html", "/%70rivate/index.html"]) {
      assert.equal(statusOf(await site.raw(path)), 403, path);
    }
    for (const path of ["/docs/", "/docs/index.html"])
      assert.equal(statusOf(await site.raw(path)), 404, path);
  });

  test("with compression and tags of the gateway a file is coded once, and its own tag stays", async () => {
    await using site = await StaticSite.start((dir) => [{ prefix: "/app/", dir }], {
      compression: true,
      etag: true,
    });
    const url = `${site.gateway.url}/app`;
    for (const coding of ["br", "gzip"]) {
      const answer = await curl("-H", `Accept-Encoding: ${coding}`, `${url}/assets/app.js`);
      assert.equal(answer.headers.get("content-encoding"), coding);
      const decode = coding === "br" ? brotliDecompressSync : gunzipSync;
      assert.match(
        decode(Buffer.from(answer.body, "latin1")).toString(),
        /^(?:export const answer = 42;\n)+$/,
      );
      const tag = answer.headers.get("etag") ?? "";
      const again = ["-H", `Accept-Encoding: ${coding}`, "-H", `If-None-Match: ${tag}`];
      assert.equal((await curl(...again, `${url}/assets/app.js`)).status, 304);
    }
    const { body } = await curl("-H", "Accept-Encoding: gzip", `${url}/large.bin`);
    assert.equal(body.length, large.length);
    const part = await curl(
      "-H",
      "Accept-Encoding: gzip",
      "-H",
      "Range: bytes=0-1999",
      `${url}/assets/app.js`,
    );
    assert.equal(part.status, 206);
  });

  test("wrong options are errors of the start that name them", async () => {
    await using files = await TemporaryFiles.create();
    const dir = files.folder;
    for (const [folder, message] of [
      [{ prefix: "assets", dir }, /static\[0\]: the option prefix must be a path/],
      [{ prefix: "/a b/", dir }, /prefix/],
      [{ prefix: "/../", dir }, /prefix/],
      [{ prefix: "/", dir: `${dir}/none` }, /folder .*none of \/ cannot be served/],
      [{ prefix: "/", dir, fallback: "none.html" }, /none\.html/],
      [{ prefix: "/", dir, fallback: "../x" }, /fallback/],
      [{ prefix: "/", dir, maxAgeMs: -1 }, /maxAgeMs/],
      [{ prefix: "/", dir, access: "some" as "deny" }, /access/],
    ] as const) {
      await assert.rejects(openPages({ static: [folder] }), message);
    }
    const twice = [
      { prefix: "/a", dir },
      { prefix: "/a/", dir },
    ];
    await assert.rejects(openPages({ static: twice }), /static\[1\]: the prefix \/a\/ is that of another/);
  });
});

suite("S7 who may have files:", () => {
  test("the levels are those of rpcs, by the same gates", async () => {
    await using keys = await TemporaryFiles.create();
    const partner = createApiKey("partner");
    const keysFile = await keys.write("keys.json", [{ id: "partner", hash: partner.hash }]);
    await using security = await createSecurity({
      auth: { partners: apiKeys({ keysFile }) },
      access: { rules: { "ts_ms.pages.v1.FilesService/Optional": { principals: ["somebody"] } } },
    });
    await using site = await StaticSite.start(
      (dir) => [
        { prefix: "/public/", dir },
        { prefix: "/members/", dir, access: "authenticated" },
        { prefix: "/nobody/", dir, access: "deny" },
        { prefix: "/some/", dir, access: "optional" },
      ],
      { gates: security.gates, securityHeaders: "basic" },
    );
    const good = `x-api-key: ${partner.key}\r\n`;
    const bad = "x-api-key: tsms_partner_wrong\r\n";
    const statuses = async (path: string): Promise<number[]> =>
      Promise.all(["", good, bad].map(async (field) => statusOf(await site.raw(path, field))));
    assert.deepEqual(await statuses("/public/index.html"), [200, 200, 200]);
    assert.deepEqual(await statuses("/members/index.html"), [401, 200, 401]);
    assert.deepEqual(await statuses("/members/none"), [401, 404, 401]);
    assert.deepEqual(await statuses("/nobody/index.html"), [403, 403, 403]);
    assert.deepEqual(await statuses("/some/index.html"), [401, 403, 401]);
    const file = await site.raw("/members/index.html", good);
    assert.equal(fieldOf(file, "cache-control"), "private, max-age=0");
    const refused = await site.raw("/members/index.html");
    assert.match(refused, /CREDENTIALS_MISSING/);
    assert.ok(fieldOf(refused, "www-authenticate"));
  });

  test("a server without gates gives files of known clients to nobody", async () => {
    await using site = await StaticSite.start((dir) => [
      { prefix: "/members/", dir, access: "authenticated" },
      { prefix: "/nobody/", dir, access: "deny" },
    ]);
    assert.equal(statusOf(await site.raw("/members/index.html")), 401);
    assert.equal(statusOf(await site.raw("/nobody/index.html")), 403);
  });
});

test("D2 observers may refuse a file, or the answer that there is none, before the client has it", async () => {
  const asked: string[] = [];
  const refusals: ConnectError[] = [];
  const observer: CallObserver = {
    answering({ method }, error) {
      asked.push(`${method.name} ${error === undefined ? "OK" : Code[error.code]}`);
      for (const refusal of refusals) throw refusal;
    },
  };
  await using site = await StaticSite.start(
    (dir) => [
      { prefix: "/", dir },
      { prefix: "/members/", dir, access: "deny" },
    ],
    { observers: [observer] },
  );
  const statuses = async (): Promise<number[]> => {
    const paths = ["/large.bin", "/none", "/docs", "/members/index.html"];
    return Promise.all(paths.map(async (path) => statusOf(await site.raw(path))));
  };
  assert.deepEqual(await statuses(), [200, 404, 301, 403]);
  // What is denied was refused before.
  assert.deepEqual(asked.splice(0).toSorted(), ["Public NotFound", "Public OK", "Public OK"]);
  refusals.push(new ConnectError("there is no record", Code.Unavailable));
  assert.deepEqual(await statuses(), [503, 503, 503, 403]);
  assert.equal(asked.length, 3);
});

test("S7 the plugin in a Fastify of others serves files, and leaves other paths to it", async () => {
  await using site = await StaticSite.start((dir) => [{ prefix: "/app/", dir }]);
  await using plain = await startGateway();
  const pages = await openPages({ static: [{ prefix: "/app/", dir: site.dir }] });
  const app = Fastify();
  const guest = new HttpServer({ upstream: "127.0.0.1:1", pages, logger: false });
  await app.register(guest.addService(plain.echo).plugin, { prefix: "/api" });
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const home = await curl("--location", `${url}/api/app`);
  assert.match(home.body, /HTTP\/1\.1 200 OK[^]*home/);
  assert.equal((await curl(`${url}/api/app/large.bin`)).body.length, large.length);
  assert.match((await curl(`${url}/app/`)).body, /Route GET:\/app\/ not found/);
  assert.match((await curl(`${url}/api/elsewhere`)).body, /Route GET:\/api\/elsewhere not found/);
  await app.close();
});
