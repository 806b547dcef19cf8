/** Cookies, forged requests and policies of pages, as a real browser sees them. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { FilesService } from "../../gen/tsms/test/v1/files_pb.ts";
import { service } from "../../src/core/call/service.ts";
import { openPages } from "../../src/gateway/pages/pages.ts";
import { SessionSite } from "../behaviour/session/session-site.ts";
import { createCertificate } from "../support/certificates.ts";
import { noChromium, startChromium } from "../support/chromium.ts";
import { startGateway } from "../support/gateway-fixture.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost"] });
const tls = { cert, key };

describe("in Chromium", { skip: noChromium, timeout: 110_000 }, () => {
  let browser: Browser;
  let context: BrowserContext;
  let foreign: Server;
  let foreignPort: number;
  /** What the foreign server answers with. */
  let trap = "";

  before(async () => {
    browser = await startChromium();
    foreign = createServer(tls, (request, response) => {
      const isScript = request.url?.endsWith(".js") === true;
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
      response.setHeader("cross-origin-resource-policy", "cross-origin");
      response.end(isScript ? "window.foreign = true" : trap);
    });
    foreign.listen(0);
    await once(foreign, "listening");
    foreignPort = (foreign.address() as AddressInfo).port; // It listens.
  });

  after(async () => {
    await browser.close();
    foreign.close();
    foreign.closeAllConnections();
  });

  async function open(url: string): Promise<Page> {
    context = await browser.newContext({ ignoreHTTPSErrors: true });
    const page = await context.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(url);
    return page;
  }

  /** What has run of the scripts of a page. */
  const ran = (page: Page): Promise<readonly string[]> =>
    page.evaluate(() =>
      ["own", "nonce", "inline", "foreign", "handler"].filter((name) => Object.hasOwn(globalThis, name)),
    );

  test("S8 S9 of a strict page, own scripts and inline ones with its nonce run, and nothing else", async () => {
    await using files = await TemporaryFiles.create();
    const [dir, views] = [join(files.folder, "public"), join(files.folder, "views")];
    await Promise.all([mkdir(dir), mkdir(views)]);
    const scripts = (nonce: string): string =>
      [
        `<!doctype html><title>t</title><style${nonce}>p { color: rgb(1, 2, 3) }</style><p>text</p>`,
        `<script src="/own.js"></script><script${nonce}>window.nonce = true</script>`,
        `<script>window.inline = true</script><script nonce="guess">window.inline = true</script>`,
        `<img src="/none.png" onerror="window.handler = true">`,
        `<script src="https://localhost:${foreignPort}/foreign.js"></script>`,
      ].join("");
    await files.write("public/own.js", "window.own = true");
    await files.write("public/index.html", scripts(""));
    await files.write("views/page.eta", scripts(` nonce="<%= it.nonce %>"`));
    const pages = await openPages({ static: [{ prefix: "/", dir }], templates: views });
    const shown = service(FilesService, { getFile: () => pages.render("page") });
    await using gateway = await startGateway({ tls, pages, securityHeaders: "strict" }, [shown]);
    const url = `https://localhost:${gateway.port}`;
    const colour = (page: Page): Promise<string> =>
      page.evaluate(`getComputedStyle(document.querySelector("p")).color`);

    const page = await open(`${url}/test/v1/files/x`);
    assert.deepEqual(await ran(page), ["own", "nonce"]);
    assert.equal(await colour(page), "rgb(1, 2, 3)");
    await context.close();

    const plain = await open(`${url}/`);
    assert.deepEqual(await ran(plain), ["own"]);
    assert.notEqual(await colour(plain), "rgb(1, 2, 3)");
    await context.close();
  });

  /** What an own page is answered when it posts a text. */
  const post = (page: Page, text: string): Promise<string> =>
    page.evaluate(async (sent) => {
      const headers = { "content-type": "application/json" };
      const response = await fetch("/test/v1/echo", {
        method: "POST",
        headers,
        body: JSON.stringify({ text: sent }),
      });
      return response.text();
    }, text);

  /** What the browser shows when a page of another host has posted a form. */
  async function submitFrom(origin: string, port: number): Promise<string> {
    trap = `<form method=post enctype=text/plain action="https://localhost:${port}/test/v1/echo"><input name='{"text":"add~evil","x":"' value='"}'><button>send</button></form>`;
    const page = await context.newPage();
    await page.goto(origin);
    await page.click("button");
    await page.waitForURL(/\/test\/v1\/echo$/);
    const text = await page.textContent("body");
    await page.close();
    return text ?? "";
  }

  test("S1 S6 the session cookie is of its host alone, and pages of others can change nothing with it", async () => {
    await using site = await SessionSite.start({ http: { tls, securityHeaders: "basic" } });
    const page = await open(`https://localhost:${site.port}/test/v1/echo/hello`);
    assert.match(await post(page, "login~ada"), /"ada:"/);
    const [cookie, ...more] = await context.cookies();
    assert.deepEqual(more, []);
    const { name, domain, path, httpOnly, secure, sameSite } = cookie ?? assert.fail();
    assert.deepEqual(
      { name, domain, path, httpOnly, secure, sameSite },
      {
        name: "__Host-session",
        domain: "localhost",
        path: "/",
        httpOnly: true,
        secure: true,
        sameSite: "Lax",
      },
    );
    assert.equal(await page.evaluate("document.cookie"), "");
    assert.match(await post(page, "add~x"), /"ada:x"/);

    // Another port is another origin of the same site: the browser sends the cookie.
    assert.match(await submitFrom(`https://localhost:${foreignPort}`, site.port), /CSRF_FAILED/);
    // Of another site it sends none.
    const crossed = await submitFrom(`https://127.0.0.1:${foreignPort}`, site.port);
    assert.doesNotMatch(crossed, /CSRF_FAILED|ada/);
    assert.match(await post(page, "show"), /"ada:x"/);

    // A WebSocket of another origin is refused, one of the own opens with the cookie.
    const socket = (from: Page): Promise<string> =>
      from.evaluate(
        (port) =>
          new Promise<string>((resolve) => {
            const ws = new WebSocket(`wss://localhost:${port}/test/v1/repeat/hold`, ["json"]);
            ws.onmessage = ({ data }) => resolve(String(data));
            ws.onerror = () => resolve("refused");
          }),
        site.port,
      );
    trap = "<title>trap</title>";
    const other = await context.newPage();
    await other.goto(`https://localhost:${foreignPort}`);
    assert.equal(await socket(other), "refused");
    assert.match(await socket(page), /"ada"/);

    assert.match(await post(page, "logout"), /"anonymous:"/);
    assert.deepEqual(await context.cookies(), []);
    await context.close();
  });

  test("S6 with SameSite=None the browser sends the cookie from everywhere, and the request is refused", async () => {
    await using site = await SessionSite.start({ options: { sameSite: "none" }, http: { tls } });
    const page = await open(`https://localhost:${site.port}/test/v1/echo/hello`);
    assert.match(await post(page, "login~ada"), /"ada:"/);
    const crossed = await submitFrom(`https://127.0.0.1:${foreignPort}`, site.port);
    assert.match(crossed, /CSRF_FAILED/);
    assert.match(await post(page, "show"), /"ada:"/);
    await context.close();
  });
});
