import assert from "node:assert/strict";
import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { noChromium, startChromium } from "../support/chromium.ts";
import { curl, Program } from "../support/program.ts";

let gateway: Program;
let url = "";

before(async () => {
  gateway = new Program("examples/gateway.ts", "--grpc-port=0", "--http-port=0", "--exporter-port=off");
  url = `http://${await gateway.address("HTTP")}`;
});

after(() => gateway[Symbol.asyncDispose]());

test("the pages and their parts are served, and may load nothing from elsewhere", async () => {
  for (const [path, type] of [
    ["/", "text/html"],
    ["/page/base.css", "text/css"],
    ["/page/page.css", "text/css"],
    ["/page/page.js", "text/javascript"],
    ["/chat", "text/html"],
    ["/page/chat.css", "text/css"],
    ["/page/chat.js", "text/javascript"],
    ["/page/hub-client.js", "text/javascript"],
  ] as const) {
    const { status, headers, body } = await curl(url + path);
    assert.equal(status, 200);
    assert.equal(headers.get("content-type"), `${type}; charset=utf-8`);
    assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'; script-src 'self';/);
    assert.doesNotMatch(body, /https?:\/\/|\son\w+=|<style|unsafe-inline/);
  }
});

describe("in Chromium", { skip: noChromium, timeout: 110_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-page-"));
  let browser: Browser;
  const problems: string[] = [];

  before(async () => {
    browser = await startChromium();
  });

  after(async () => {
    await browser.close();
    assert.deepEqual(problems, []);
  });

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const page = await browser.newPage(options);
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  const has = (page: Page, list: string, text: string): Promise<void> =>
    page.locator(list).filter({ hasText: text }).first().waitFor();

  test("books appear by EventSource, and a change by REST a moment later", async () => {
    const page = await open();
    await has(page, "#books li", "Dune");
    await has(page, "#shelf-state.live", "live");
    const response = await fetch(`${url}/v1/shelves/1/books`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ title: "Ubik & <b>more</b>", authors: ["Philip K. Dick"] }),
    });
    assert.equal(response.status, 201);
    await has(page, "#changes li:has(.created)", "Ubik & <b>more</b>");
    await has(page, "#books li", "Philip K. Dick");
    await page.close();
  });

  test("the page's own buttons add a book, lend it and take it back", async () => {
    const page = await open();
    await page.getByLabel("Title", { exact: true }).fill("Roadside Picnic");
    await page.getByLabel("Author", { exact: true }).fill("Arkady and Boris Strugatsky");
    await page.getByRole("button", { name: "Add book" }).click();
    await has(page, "#changes li:has(.created)", "Roadside Picnic");
    await page.getByRole("button", { name: "Lend Roadside Picnic" }).click();
    await has(page, "#changes li:has(.updated)", "Roadside Picnic, lent to you");
    await page.getByRole("button", { name: "Return Roadside Picnic" }).click();
    await page.getByRole("button", { name: "Lend Roadside Picnic" }).waitFor();
    assert.equal(await page.locator("#problem").textContent(), "");
    await page.close();
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`the help desk answers over WebSocket; pictures in ${colorScheme}`, async (t) => {
      const page = await open({ colorScheme, viewport: { width: 1100, height: 860 } });
      await has(page, "#chat li", "Welcome to the help desk");
      for (const [question, answer] of [
        ["le guin", "We have: The Dispossessed."],
        ["cookery", 'We have nothing like "cookery".'],
      ] as const) {
        await page.getByLabel("Title or author").fill(question);
        await page.keyboard.press("Enter");
        await has(page, "#chat li.mine", question);
        await has(page, "#chat li.theirs", answer);
      }
      await has(page, "#shelf-state.live", "live");
      const path = join(folder, `page-${colorScheme}.png`);
      await page.screenshot({ path, fullPage: true, animations: "disabled" });
      await page.setViewportSize({ width: 390, height: 800 });
      const wider = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      assert.equal(wider, 0, "a telephone need not scroll sideways");
      await page.screenshot({ path: join(folder, `phone-${colorScheme}.png`), fullPage: true });
      assert.ok(statSync(path).size > 10_000);
      t.diagnostic(`screenshots in ${folder}`);
      await page.close();
    });
  }
});
