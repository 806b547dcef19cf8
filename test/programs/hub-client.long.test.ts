import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Browser, Page } from "playwright-core";
import { bundle, firstLoad } from "../support/browser-bundle.ts";
import { noChromium, startChromium } from "../support/chromium.ts";
import { Feed } from "../support/feed-service.ts";
import { startGateway, type Gateway } from "../support/gateway-fixture.ts";
import { KillableFront } from "../support/killable-front.ts";

test("ts-ms/hub-client is small, and needs neither Node nor eval", async () => {
  const text = await bundle('export * from "./src/entries/hub-client.ts";', "external");
  const imports = [...text.matchAll(/from"([^"]+)"/g)].map(([, name = ""]) => name);
  assert.deepEqual(
    imports.filter((name) => !/^@bufbuild\/protobuf(?:\/|$)/.test(name)),
    [],
  );
  assert.doesNotMatch(text, /\beval\(|\bFunction\(|\bBuffer\b|\brequire\(/);
  // Descriptors and transports come with the first of them.
  const first = await firstLoad('export { connectHub } from "./src/entries/hub-client.ts";');
  assert.doesNotMatch(first, /from"@bufbuild/);
  const size = gzipSync(first, { level: 9 }).length;
  assert.ok(size <= 7 * 1024, `${size} bytes`);
});

/** What the page of the test has. */
interface InPage {
  navigator: { readonly onLine: boolean };
  texts: string[];
  states: string[];
  close(): void;
}

describe("in Chromium", { skip: noChromium, timeout: 110_000 }, () => {
  let browser: Browser;
  let gateway: Gateway;
  let front: KillableFront;
  const feed = new Feed(1000);

  before(async () => {
    const script = await bundle(
      `
      import { connectHub } from "./src/entries/hub-client.ts";
      const way = new URLSearchParams(location.search).get("way");
      const hub = connectHub(location.origin, { transports: [way], backoff: { initialMs: 20, maxMs: 50 } });
      const texts = [], states = [];
      hub.subscribe("tsms.test.v1.FeedService/Follow", {}, {
        message: ({ text }) => texts.push(text),
        state: ({ kind }) => states.push(kind),
      });
      Object.assign(globalThis, { texts, states, close: () => hub.close() });`,
      "bundle",
    );
    gateway = await startGateway({}, [feed], ({ fastify }) => {
      fastify.get("/page", (_, reply) =>
        reply
          .header("content-security-policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
          .type("text/html")
          .send('<!doctype html><script type="module" src="/page.js"></script>'),
      );
      fastify.get("/other", (_, reply) => reply.type("text/html").send("<!doctype html>"));
      fastify.get("/page.js", (_, reply) => reply.type("text/javascript").send(script));
    });
    front = await new KillableFront(gateway.port).start();
    browser = await startChromium();
  });

  after(async () => {
    await browser?.close();
    await front?.kill();
    await gateway?.[Symbol.asyncDispose]();
  });

  /** Resolves when the page has a text. */
  const until = (page: Page, text: string): Promise<unknown> =>
    page.waitForFunction((wanted) => (globalThis as unknown as InPage).texts?.includes(wanted), text);
  const textsOf = (page: Page): Promise<string[]> =>
    page.evaluate(() => (globalThis as unknown as InPage).texts);

  for (const way of ["sse", "poll"]) {
    test(`by ${way}, over losses of the connection, and times without a network`, async () => {
      const page = await browser.newPage();
      await page.goto(`http://${front.address}/page?way=${way}`);
      feed.publish(`${way} 1`);
      await until(page, `${way} 1`);
      await front.kill();
      feed.publish(`${way} 2`);
      await front.start();
      await page.waitForFunction(
        (text) => (globalThis as unknown as InPage).texts.includes(text),
        `${way} 2`,
      );
      await page.context().setOffline(true);
      await page.waitForFunction(() => !(globalThis as unknown as InPage).navigator.onLine);
      feed.publish(`${way} 3`);
      await page.context().setOffline(false);
      await page.waitForFunction(
        (text) => (globalThis as unknown as InPage).texts.includes(text),
        `${way} 3`,
      );
      const own = (await textsOf(page)).filter((text) => text.startsWith(way));
      assert.deepEqual(own, [`${way} 1`, `${way} 2`, `${way} 3`]);
      await page.evaluate(() => (globalThis as unknown as InPage).close());
      assert.equal(await page.evaluate(() => (globalThis as unknown as InPage).states.at(-1)), "closed");
      await page.close();
    });
  }
});
