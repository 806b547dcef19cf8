import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Writable } from "node:stream";
import type { HttpBody } from "../../../gen/google/api/httpbody_pb.ts";
import { FilesService } from "../../../gen/tsms/test/v1/files_pb.ts";
import { createLogger } from "../../../src/core/telemetry/logger.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { openPages, type Pages } from "../../../src/gateway/pages/pages.ts";
import { bodyOf, exchangeBytes, startGateway, statusOf } from "../../support/gateway-fixture.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { fieldOf } from "./site.ts";

/** Answers the name of a file with the template of this name. */
class Shown implements PartialService<typeof FilesService> {
  readonly descriptor = FilesService;
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  getFile({ name }: { name: string }): HttpBody {
    const user = `<script>alert("1")</script>'&`;
    return this.#pages.render(name, { user, fail: () => assert.fail("a SECRET of the program") });
  }
}

suite("S8 templates:", () => {
  let files: TemporaryFiles;
  let pages: Pages;

  before(async () => {
    files = await TemporaryFiles.create();
    await mkdir(join(files.folder, "parts"));
    await files.write(
      "hello.eta",
      `<% layout("parts/base") %><p title="<%= it.user %>"><%= it.user %></p><script nonce="<%= it.nonce %>">1</script>`,
    );
    await files.write("parts/base.eta", `<!doctype html><%~ include("parts/head") %><%~ it.body %>`);
    await files.write("parts/head.eta", `<title nonce="<%= it.nonce %>"></title>`);
    await files.write("fails.eta", "<% it.fail() %>");
    await files.write("steals.eta", `<%~ include("../../etc/passwd") %>`);
    await files.write("takes.eta", `<%~ include("/etc/passwd") %>`);
    await files.write("notes.txt", "no template");
    pages = await openPages({ templates: files.folder });
  });

  after(() => files[Symbol.asyncDispose]());

  test("all templates are known at the start, by their paths", () => {
    assert.deepEqual(pages.templates, ["fails", "hello", "parts/base", "parts/head", "steals", "takes"]);
  });

  for (const dial of ["in-process", "network"] as const) {
    test(`${dial}: a page is HTML, escaped, with a nonce of its own in its policy when headers are strict`, async () => {
      await using gateway = await startGateway({ dial, securityHeaders: "strict" }, [new Shown(pages)]);
      const nonces = new Set<string>();
      for (let i = 0; i < 3; i++) {
        const request = "GET /test/v1/files/hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        const answer = await exchangeBytes(gateway.port, request);
        assert.equal(statusOf(answer), 200);
        assert.equal(fieldOf(answer, "content-type"), "text/html; charset=utf-8");
        const policy = fieldOf(answer, "content-security-policy") ?? "";
        const [, nonce = ""] = /^default-src 'self' 'nonce-([\w-]{22})'; base-uri 'self'/.exec(policy) ?? [];
        const user = "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;";
        const html = `<title nonce="${nonce}"></title><p title="${user}">${user}</p><script nonce="${nonce}">1</script>`;
        assert.equal(bodyOf(answer), `<!doctype html>${html}`);
        nonces.add(nonce);
      }
      assert.equal(nonces.size, 3);
      const echo = await fetch(`${gateway.url}/test/v1/echo/x`);
      const policy = "default-src 'none'; frame-ancestors 'none'";
      assert.equal(echo.headers.get("content-security-policy"), policy);
    });
  }

  test("basic headers leave the policy out", async () => {
    await using gateway = await startGateway({ securityHeaders: "basic" }, [new Shown(pages)]);
    const { headers } = await fetch(`${gateway.url}/test/v1/files/hello`);
    assert.equal(headers.get("content-security-policy"), null);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
  });

  test("other protocols get the page as a message", async () => {
    await using gateway = await startGateway({}, [new Shown(pages)]);
    const response = await fetch(`${gateway.url}/tsms.test.v1.FilesService/GetFile`, {
      method: "POST",
      headers: { "content-type": "application/json", "connect-protocol-version": "1" },
      body: JSON.stringify({ name: "hello" }),
    });
    const { contentType, extensions } = (await response.json()) as HttpBody; // As JSON.
    assert.equal(contentType, "text/html; charset=utf-8");
    assert.equal(extensions.length, 1);
  });

  test("errors are INTERNAL without a text, and whole in the log", async () => {
    const lines: string[] = [];
    const destination = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString());
        done();
      },
    });
    const logger = createLogger({ destination });
    await using gateway = await startGateway({ logger }, [new Shown(pages)]);
    for (const [name, logged] of [
      ["fails", /a SECRET of the program/],
      ["helo", /there is no template \\"helo\\"; did you mean hello\?/],
      ["steals", /there is no template \\"\.\.\/\.\.\/etc\/passwd\\"/],
      ["takes", /there is no template \\"\/etc\/passwd\\"/],
      ["__proto__", /there is no template/],
      ["@hello", /Failed to get template|there is no template/],
    ] as const) {
      const response = await fetch(`${gateway.url}/test/v1/files/${encodeURIComponent(name)}`);
      const body = await response.text();
      assert.equal(response.status, 500, name);
      assert.doesNotMatch(body, /SECRET|template|passwd|root:/, name);
      assert.equal((JSON.parse(body) as { code: number }).code, 13);
      assert.match(lines.join(""), logged, name);
    }
  });

  test("files that come or change after the start are not read", async () => {
    await using own = await TemporaryFiles.create();
    await own.write("one.eta", "first");
    const opened = await openPages({ templates: own.folder });
    await writeFile(join(own.folder, "one.eta"), "second");
    await writeFile(join(own.folder, "two.eta"), "two");
    assert.equal(Buffer.from(opened.render("one").data).toString(), "first");
    assert.throws(() => opened.render("two"), /no template "two"/);
    await rm(join(own.folder, "one.eta"));
    assert.equal(Buffer.from(opened.render("one").data).toString(), "first");
  });

  test("what cannot be compiled, and a folder without templates, are errors of the start", async () => {
    await using own = await TemporaryFiles.create();
    await assert.rejects(openPages({ templates: own.folder }), /has no templates/);
    await assert.rejects(openPages({ templates: join(own.folder, "none") }), /cannot be read/);
    await own.write("bad.eta", "<% if ( %>");
    await assert.rejects(openPages({ templates: own.folder }), /bad\.eta cannot be used/);
    const without = await openPages({});
    assert.throws(() => without.render("x"), /there are no templates/);
  });
});
