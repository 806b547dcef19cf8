/** The console in Chromium: rules 38 to 44 and the fault rows of faces that are about it. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import type { Browser, BrowserContext, Locator, Page } from "playwright-core";
import { noChromium, startChromium } from "../support/chromium.ts";
import { ConsoleHost, endOfCall } from "../support/console-host.ts";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe says of a page, as far as it is read here. */
interface Findings {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

describe("the console in Chromium", { skip: noChromium, timeout: 300_000 }, () => {
  let browser: Browser;
  let host: ConsoleHost;
  before(async () => {
    browser = await startChromium();
    host = await ConsoleHost.start({ title: "Console" });
  });
  after(async () => {
    await browser.close();
    await host[Symbol.asyncDispose]();
  });

  interface TabOptions {
    readonly width?: number;
    readonly scheme?: "light" | "dark";
    readonly of?: ConsoleHost;
  }

  /** A page with what went wrong in it, and what it asked other hosts for. */
  class Tab implements AsyncDisposable {
    readonly page: Page;
    readonly problems: string[] = [];
    readonly foreign: string[] = [];
    readonly #context: BrowserContext;

    private constructor(context: BrowserContext, page: Page, own: string) {
      this.#context = context;
      this.page = page;
      page.setDefaultTimeout(20_000);
      page.on("pageerror", (error) => this.problems.push(error.message));
      page.on("console", (message) => {
        // Answers of calls that are no success are told there too.
        if (message.type() === "error" && !/status of \d/.test(message.text()))
          this.problems.push(message.text());
      });
      page.on("request", (request) => {
        if (!request.url().startsWith(own) && !request.url().startsWith("blob:"))
          this.foreign.push(request.url());
      });
    }

    static async open(
      fragment: string,
      { width = 1440, scheme = "light", of = host }: TabOptions = {},
    ): Promise<Tab> {
      const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme });
      const page = await context.newPage();
      const tab = new Tab(context, page, of.origin);
      await page.goto(`${of.origin}/docs${fragment}`);
      await page.locator("main > *").first().waitFor();
      return tab;
    }

    call(id: string, message: object, way = "rest:0"): Promise<unknown> {
      const query = new URLSearchParams({ via: way, m: JSON.stringify(message) });
      return this.page.goto(`${host.origin}/docs#/call/${id}?${query.toString()}`);
    }

    async [Symbol.asyncDispose](): Promise<void> {
      assert.deepEqual(this.foreign, []);
      assert.deepEqual(this.problems, []);
      await this.#context.close();
    }
  }

  const library = "library.v1.LibraryService";
  const send = (page: Page): Promise<void> => page.locator(".send-buttons .primary").click();

  for (const scheme of ["light", "dark"] as const) {
    test(`rule 38: axe finds nothing in any view, ${scheme}`, async () => {
      await using tab = await Tab.open("", { scheme });
      const { page } = tab;
      // The policy of the page keeps scripts from being added, the debugger's own channel does not.
      const check = async (what: string): Promise<void> => {
        const findings = await page.evaluate<Findings>(`${axe}; axe.run()`);
        const texts = findings.violations.flatMap(({ id, nodes }) =>
          nodes.map(({ html }) => `${id}: ${html}`),
        );
        assert.deepEqual(texts, [], what);
      };
      const view = async (fragment: string): Promise<void> => {
        await go(page, fragment);
        await page.waitForTimeout(300);
      };
      await check("overview");
      for (const fragment of [
        `#/rpc/${library}/UpdateBook`,
        "#/rpc/hostile.v1.HostileService/Echo",
        "#/type/library.v1.Book",
        "#/type/library.v1.BookState",
        "#/type/no.such",
        "#/live",
        "#/history",
        `#/call/${library}/Chat`,
      ]) {
        await view(fragment);
        await check(fragment);
      }
      await view("#/call/hostile.v1.HostileService/Echo");
      await page.evaluate('for (const one of document.querySelectorAll("details")) one.open = true');
      await send(page);
      await endOfCall(page);
      await check("an answer");
      await view(
        `#/call/${library}/GetBook?via=rest:0&m=${encodeURIComponent('{"name":"shelves/9/books/9"}')}`,
      );
      await send(page);
      assert.equal(await endOfCall(page), "NOT_FOUND");
      await check("an error");
      await view(`#/call/${library}/WatchBooks?via=rest:0&m=${encodeURIComponent('{"parent":"shelves/1"}')}`);
      await send(page);
      await page.locator(".stream-row").first().click();
      await check("a stream");
      await view("#/history");
      await page.locator(".calls details").first().locator("summary").click();
      await check("history with calls");
      await page.keyboard.press("/");
      await page.keyboard.type("book");
      await check("search");
    });
  }

  for (const width of [360, 800]) {
    test(`rule 38: nothing is wider than ${width} px`, async () => {
      await using tab = await Tab.open("", { width });
      for (const fragment of [
        "#/",
        `#/rpc/${library}/UpdateBook`,
        "#/type/library.v1.Book",
        `#/call/${library}/UpdateBook`,
        "#/call/hostile.v1.HostileService/Echo",
        "#/live",
        "#/history",
      ]) {
        await go(tab.page, fragment);
        await tab.page.waitForTimeout(250);
        const wide = Number(await tab.page.evaluate("document.documentElement.scrollWidth"));
        assert.ok(wide <= width, `${fragment}: ${wide}`);
      }
    });
  }

  test("rule 38: a call by keyboard alone", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    await page.keyboard.press("/");
    await page.keyboard.type("getbook");
    await page.keyboard.press("Enter");
    await page.locator(".form textarea").first().waitFor();
    for (let count = 0; count < 60; count++) {
      if ((await page.evaluate('document.activeElement?.matches(".form textarea")')) === true) break;
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Control+A");
    await page.keyboard.type("shelves/1/books/2");
    await page.keyboard.press("Control+Enter");
    assert.equal(await endOfCall(page), "OK");
    assert.match((await page.locator(".answer pre").textContent()) ?? "", /"The Dispossessed"/);
  });

  for (const [way, id, message, expected] of [
    ["rest:0", "GetBook", { name: "shelves/1/books/1" }, /"title": "Dune"/],
    ["connect", "GetBook", { name: "shelves/1/books/1" }, /"title": "Dune"/],
    ["socket", "GetBook", { name: "shelves/1/books/1" }, /"title": "Dune"/],
  ] as const) {
    test(`rule 40: a unary call by ${way}`, async () => {
      await using tab = await Tab.open("");
      await tab.call(`${library}/${id}`, message, way);
      await tab.page.locator(".form textarea").first().waitFor();
      await send(tab.page);
      assert.equal(await endOfCall(tab.page), "OK");
      assert.match((await tab.page.locator(".answer pre").textContent()) ?? "", expected);
    });
  }

  for (const way of ["rest:0", "connect", "socket"]) {
    test(`F08: a server stream by ${way}; its call is cancelled within 200 ms when the page goes on`, async () => {
      await using tab = await Tab.open("");
      let bestMs = Infinity;
      // Of several calls the best one counts: other work on the machine makes any of them slower.
      for (let call = 0; call < 5 && bestMs > 200; call++) {
        await tab.call("hostile.v1.HostileService/Flood", { size: 1 }, way);
        await send(tab.page);
        await tab.page.locator(".stream-row").first().waitFor();
        host.cancelledAt = 0;
        // The clock of the page is that of this process.
        const left = Number(await tab.page.evaluate("location.hash = '#/', Date.now()"));
        while (host.cancelledAt === 0 && Date.now() - left < 5000) await tab.page.waitForTimeout(20);
        assert.ok(host.cancelledAt > 0, "the call is cancelled");
        bestMs = Math.min(bestMs, host.cancelledAt - left);
      }
      assert.ok(bestMs <= 200, `${bestMs} ms`);
    });
  }

  test("rule 40: client and bidi streams by the socket: messages, the end of requests", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    await tab.call(`${library}/Chat`, { text: "dune" }, "socket");
    await send(page);
    await page.locator(".stream-row", { hasText: "Welcome" }).waitFor();
    await page.locator(".form textarea").first().fill("solaris");
    await send(page);
    await page.locator(".stream-row", { hasText: "We have: Solaris" }).waitFor();
    await page.getByRole("button", { name: "End requests" }).click();
    assert.equal(await endOfCall(page), "OK");
    assert.equal(await page.locator(".stream-number", { hasText: "sent" }).count(), 2);
    await tab.call(`${library}/ImportBooks`, { parent: "shelves/1", book: { title: "Ubik" } }, "socket");
    await page.locator(".form").waitFor();
    await send(page);
    await page.getByRole("button", { name: "End requests" }).click();
    assert.equal(await endOfCall(page), "OK");
    await page.locator(".stream-row", { hasText: '"imported":1' }).waitFor();
  });

  test("rule 40: without sockets the page says why it cannot call streams of requests", async () => {
    await using other = await ConsoleHost.start({}, { webSockets: false });
    await using tab = await Tab.open(`#/call/${library}/Chat`, { of: other });
    await tab.page.getByText("this server serves none").waitFor();
  });

  test("rule 40: deadline, violations at their fields, details", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    await tab.call(`${library}/CreateBook`, { parent: "shelves/1", book: { title: "" } });
    await page.locator(".options summary").click();
    await page.getByLabel("Deadline in milliseconds").fill("1500");
    await page.locator(".form").waitFor();
    await send(page);
    assert.equal(await endOfCall(page), "INVALID_ARGUMENT");
    const row = page.locator(".row", { hasText: "title" }).last();
    await row.locator(".problem:not(:empty)").first().waitFor();
    await page.waitForURL(/t=1500/);
  });

  test("rule 41: form and JSON are in step, and what the form cannot say stays", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    await tab.call("hostile.v1.HostileService/Echo", {
      text: "a",
      big: "9007199254740993",
      unheard: { x: 1 },
    });
    const editor = page.locator(".editor");
    const json = async (): Promise<unknown> => JSON.parse(await editor.inputValue());
    const row = (name: string): Locator =>
      page.locator(".row", { has: page.locator(`:is(label, .label):text-is("${name}")`) }).last();
    await row("text").locator("textarea").fill("b");
    await row("ratio").locator("input").fill("0.10000000000000000001");
    await row("yes").locator("input").check();
    await row("colour").locator("select").selectOption("COLOUR_RED");
    await row("took").locator("input").fill("5m");
    await row("words").getByRole("button", { name: "Add" }).click();
    await page.keyboard.type("one");
    await row("words").getByRole("button", { name: "Add" }).click();
    await page.keyboard.type("two");
    await row("words").getByRole("button", { name: "Move words 2 up" }).click();
    await row("counts").getByRole("button", { name: "Add" }).click();
    await page.keyboard.type("key");
    await row("one of choice").locator("select").first().selectOption("right");
    await row("inner").locator("input").first().check();
    assert.match(await editor.inputValue(), /"ratio": 0\.10000000000000000001/);
    assert.deepEqual(await json(), {
      text: "b",
      big: "9007199254740993",
      unheard: { x: 1 },
      ratio: 0.1,
      yes: true,
      colour: "COLOUR_RED",
      took: "300s",
      words: ["two", "one"],
      counts: { key: 0 },
      right: {},
      inner: {},
    });
    await editor.fill('{"text": "c", "maybe": 7, "left": "l"}');
    assert.equal(await row("text").locator("textarea").inputValue(), "c");
    assert.equal(await row("maybe").locator("input").inputValue(), "7");
    assert.equal(await row("one of choice").locator("select").first().inputValue(), "left");
    await editor.fill('{"text": ');
    await page.getByText("line 1, column 10: expected a value").waitFor();
  });

  test("rule 41: date and time, bytes and Any have inputs of their own, and go as they are shown", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    await tab.call("hostile.v1.HostileService/Echo", { text: "a" });
    const editor = page.locator(".editor");
    const json = async (): Promise<unknown> => JSON.parse(await editor.inputValue());
    const row = (name: string): Locator =>
      page.locator(".row", { has: page.locator(`:is(label, .label):text-is("${name}")`) }).last();

    await row("at").locator("input.picker").fill("2026-01-31T12:34:56");
    assert.equal(await row("at").locator("input").first().inputValue(), "2026-01-31T12:34:56Z");
    await row("data").locator("textarea").fill("grün");
    assert.deepEqual(await json(), { text: "a", at: "2026-01-31T12:34:56Z", data: "Z3LDvG4=" });
    await page.getByLabel("data, entered as").selectOption("base64");
    assert.equal(await row("data").locator("textarea").inputValue(), "Z3LDvG4=");
    const name = "bytes.bin";
    const buffer = Buffer.from([0xff, 0, 1]);
    await page
      .getByLabel("data, from a file")
      .setInputFiles({ name, mimeType: "application/octet-stream", buffer });
    await row("data").getByText("3 bytes").waitFor();
    await row("any").locator("input").first().check();
    await row("any").getByLabel("@type").selectOption("hostile.v1.Text");
    await row("any").locator(".row").last().locator("textarea").fill("inside");
    const message = {
      text: "a",
      at: "2026-01-31T12:34:56Z",
      data: "/wAB",
      any: { "@type": "type.googleapis.com/hostile.v1.Text", text: "inside" },
    };
    assert.deepEqual(await json(), message);
    await send(page);
    await page.getByText("type.googleapis.com/hostile.v1.Text").last().waitFor();

    await editor.fill('{"at": "2027-02-03T04:05:06.5Z"}');
    assert.equal(await row("at").locator("input.picker").inputValue(), "2027-02-03T04:05:06");
    await row("at").getByRole("button", { name: "Now" }).click();
    const { at } = (await json()) as { at: string }; // As it was entered.
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000, at);
  });

  test("rule 42: numbers are shown as they came, in every protocol", async () => {
    await using tab = await Tab.open("");
    for (const way of ["rest:0", "connect", "socket"]) {
      await tab.call("hostile.v1.HostileService/Echo", { big: "9007199254740993", ratio: 1e22 }, way);
      await tab.page.locator(".form").waitFor();
      await send(tab.page);
      await endOfCall(tab.page);
      const text = (await tab.page.locator(".answer .body pre").textContent()) ?? "";
      assert.match(text, /"big": "9007199254740993"/, way);
      assert.match(text, /"ratio": 1e\+22/, way);
    }
  });

  test("rule 39: an address shows the same view and request elsewhere, without secrets", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    await tab.call(`${library}/GetBook`, { name: "shelves/1/books/1" });
    await page.locator(".options summary").click();
    for (const [name, value] of [
      ["x-note", "seen"],
      ["authorization", "Bearer hidden-1"],
      ["x-api-key", "hidden-2"],
    ] as const) {
      await page.getByRole("button", { name: "Add a header" }).click();
      const row = page.locator(".header-rows li").last();
      await row.locator("input").nth(0).fill(name);
      await row.locator("input").nth(1).fill(value);
    }
    await page.locator(".form textarea").first().fill("shelves/1/books/3");
    await page.waitForURL((to) => to.hash.includes("books%2F3") && to.hash.includes("x-note"));
    const url = page.url();
    assert.ok(url.includes("x-note") && !url.includes("hidden"));
    const snippet = (await page.locator(".snippet pre").textContent()) ?? "";
    assert.ok(snippet.includes("authorization: Bearer $TOKEN") && snippet.includes("x-api-key: $API_KEY"));
    assert.ok(!snippet.includes("hidden"));
    await using other = await Tab.open(url.slice(url.indexOf("#")));
    assert.equal(await other.page.locator(".form textarea").first().inputValue(), "shelves/1/books/3");
    await send(page);
    await endOfCall(page);

    // Rule 44: the history has everything, and secrets for the tab alone.
    await go(page, "#/history");
    await page.locator(".calls > li").first().locator("summary").click();
    await page.getByText('"Solaris"').waitFor();
    assert.ok((await page.locator(".made").textContent())?.includes("hidden-1"));
    const kept = await page.evaluate(`new Promise((resolve) => {
      indexedDB.open("ts-ms/docs", 1).onsuccess = ({ target }) => {
        const all = target.result.transaction("made").objectStore("made").getAll();
        all.onsuccess = () => resolve(JSON.stringify(all.result));
      };
    })`);
    assert.ok(typeof kept === "string" && kept.includes("Solaris") && !kept.includes("hidden"));
    await page.locator(".calls > li a").first().click();
    await page.locator(".header-rows input[type=password]").first().waitFor({ state: "attached" });
    assert.equal(
      await page.locator(".header-rows li").nth(1).locator("input").nth(1).inputValue(),
      "Bearer hidden-1",
    );
  });

  test("rule 44: requests are saved by name, exported and imported", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    await tab.call(`${library}/GetShelf`, { name: "shelves/1" });
    await page.locator(".form").waitFor();
    await send(page);
    await endOfCall(page);
    await go(page, "#/history");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("textbox", { name: "Name" }).fill("first shelf");
    await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
    await page.getByRole("link", { name: "first shelf" }).waitFor();
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Export" }).click(),
    ]);
    const text = await readFile(await file.path(), "utf8");
    assert.match(text, /"first shelf"/);
    await using other = await Tab.open("#/history");
    await other.page
      .locator("input[type=file]")
      .setInputFiles({ name: "r.json", mimeType: "application/json", buffer: Buffer.from(text) });
    await other.page.getByRole("link", { name: "first shelf" }).click();
    await other.page.locator(".form textarea").first().waitFor();
    assert.equal(await other.page.locator(".form textarea").first().inputValue(), "shelves/1");
  });

  test("rule 44: the live view shows calls by rpc and protocol, and connections; asleep while it is hidden", async () => {
    await using tab = await Tab.open("#/live");
    await tab.page.locator(".tag", { hasText: "updating" }).waitFor();
    const card = tab.page.locator(".card", { hasText: "GetShelf" });
    for (let count = 0; (await card.count()) === 0; count++) {
      assert.ok(count < 100);
      await Promise.all(["shelves/1", "shelves/none"].map((name) => fetch(`${host.origin}/v1/${name}`)));
      await tab.page.waitForTimeout(100);
    }
    await card.getByText("NOT_FOUND").waitFor();
    await tab.page.locator(".connections td", { hasText: "HTTP/1.1" }).first().waitFor();
  });

  test("F09: comments, replies and headers with markup are text; no script runs", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    const markup = '<img src=x onerror="window.ran=true"></script><script>window.ran=true</script>';
    for (const fragment of ["#/", "#/rpc/hostile.v1.HostileService/Echo", "#/type/hostile.v1.Kinds"]) {
      await go(page, fragment);
      await page.waitForTimeout(200);
    }
    await go(page, "#/");
    await page.getByText("[click](javascript:window.ran=true)").first().waitFor();
    assert.equal(await page.locator('a[href="https://example.com/bare"]').count(), 1);
    assert.equal(await page.locator('main a:not([href^="#"]):not([href^="https://"])').count(), 0);
    await tab.call("hostile.v1.HostileService/Echo", { text: markup, words: [markup] });
    await page.locator(".form").waitFor();
    await send(page);
    await endOfCall(page);
    assert.ok((await page.locator(".answer pre").textContent())?.includes("onerror"));
    await go(page, "#/history");
    await page.locator(".calls summary").first().click();
    assert.equal(await page.locator("main img, main script, main svg[onload]").count(), 0);
    assert.equal(await page.evaluate("'ran' in window"), false);
  });

  test("F10: an answer of 50 MiB is shown in part, and the page stays usable", async () => {
    await using tab = await Tab.open("");
    const { page } = tab;
    const client = await page.context().newCDPSession(page);
    await client.send("Performance.enable");
    await tab.call("hostile.v1.HostileService/Large", { size: 50 * 1024 * 1024 });
    await page.locator(".form").waitFor();
    await page.evaluate(watchTasks);
    await send(page);
    await page.locator(".answer .body .note", { hasText: "of 50.0 MiB are shown" }).waitFor();
    assert.equal(await endOfCall(page), "OK");
    const longest = Number(await page.evaluate("window.longest"));
    assert.ok(longest <= 200, `a task of ${longest} ms`);
    const heap = await heapOf(client);
    assert.ok(heap <= 64 * 1024 * 1024, `${heap} bytes`);
    const [file] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Download" }).click(),
    ]);
    assert.equal((await readFile(await file.path())).length, 50 * 1024 * 1024 + '{"text":""}'.length);
  });

  test("F10: 10,000 messages a second, hidden and back: no long task, little memory", async () => {
    /** The longest task of a page that shows them, in milliseconds. */
    const longestTask = async (): Promise<number> => {
      await using tab = await Tab.open("");
      const { page } = tab;
      const client = await page.context().newCDPSession(page);
      await client.send("Performance.enable");
      await tab.call("hostile.v1.HostileService/Flood", {});
      await page.locator(".form").waitFor();
      await page.evaluate(watchTasks);
      await send(page);
      await page.locator(".stream-row").first().waitFor();
      const count = async (): Promise<number> =>
        Number(/^\d+/.exec((await page.locator(".totals").textContent()) ?? "")?.[0] ?? 0);
      await page.waitForTimeout(8000);
      const before = await count();
      // Another tab in front hides this one.
      const front = await page.context().newPage();
      await front.bringToFront();
      await front.waitForTimeout(3000);
      await page.bringToFront();
      await front.close();
      await page.waitForTimeout(1500);
      const after = await count();
      assert.ok(before > 5000 && after > before + 5000, `${before}, then ${after}`);
      assert.ok((await page.locator(".stream-row").count()) < 60);
      const longest = Number(await page.evaluate("window.longest"));
      const heap = await heapOf(client);
      assert.ok(heap <= 64 * 1024 * 1024, `${heap} bytes`);
      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByRole("button", { name: "Go on" }).waitFor();
      await page.getByRole("searchbox", { name: "Search messages" }).fill("words");
      await page.getByText("1000 found").waitFor();
      await page.getByRole("button", { name: "Cancel" }).click();
      assert.equal(await endOfCall(page), "CANCELLED");
      return longest;
    };
    let bestMs = Infinity;
    // As above: what else the machine does makes tasks longer.
    for (let page = 0; page < 3 && bestMs > 200; page++) bestMs = Math.min(bestMs, await longestTask());
    assert.ok(bestMs <= 200, `a task of ${bestMs} ms`);
  });

  test("F16: a server that stops ends the console's streams at once", async () => {
    const other = await ConsoleHost.start();
    await using tab = await Tab.open("#/live", { of: other });
    await tab.page.locator(".tag", { hasText: "updating" }).waitFor();
    const began = performance.now();
    const { cut } = await other.http.gracefulStop({ graceMs: 10_000 });
    assert.deepEqual(cut, []);
    assert.ok(performance.now() - began < 3000, `${performance.now() - began} ms`);
    await tab.page.getByText("connecting again").waitFor();
    tab.problems.length = 0; // That the server is gone.
    await other[Symbol.asyncDispose]();
  });

  test("F17: the console is in no frame, and a page elsewhere gets nothing of it", async () => {
    const foreign = createServer((_request, response) => {
      response.setHeader("content-type", "text/html");
      response.end(`<!doctype html><iframe src="${host.origin}/docs"></iframe>`);
    });
    foreign.listen(0);
    await once(foreign, "listening");
    const page = await browser.newPage();
    const refusal = page.waitForEvent("console", (message) =>
      /frame-ancestors|X-Frame-Options|frame/i.test(message.text()),
    );
    await page.goto(`http://localhost:${(foreign.address() as AddressInfo).port}/`); // It listens.
    await refusal;
    const read = await page.evaluate(async (url) => {
      try {
        return await (await fetch(url)).text();
      } catch {
        return "refused";
      }
    }, `${host.origin}/docs/model.json`);
    assert.equal(read, "refused");
    await page.close();
    foreign.close();
    foreign.closeAllConnections();
  });
});

/** Keeps the length of the longest task of a page from now on, in milliseconds. */
const watchTasks = `window.longest = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
  }).observe({ type: "longtask" })`;

/** Goes to another view of the console. */
async function go(page: Page, fragment: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(fragment)}`);
}

async function heapOf(client: {
  send(name: "Performance.getMetrics"): Promise<{ metrics: readonly { name: string; value: number }[] }>;
}): Promise<number> {
  const { metrics } = await client.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "JSHeapUsedSize")?.value ?? assert.fail("no metric");
}
