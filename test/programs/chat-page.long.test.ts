/** The page of the chat in Chromium. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { ChatPage } from "../support/chat-page.ts";
import { noChromium, startChromium } from "../support/chromium.ts";
import { Program } from "../support/program.ts";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const quiet = ["--exporter-port=off", "--log-level=error"];

/** What axe says of a page, as far as it is read here. */
interface Findings {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}

describe("the chat in Chromium", { skip: noChromium, timeout: 280_000 }, () => {
  let browser: Browser;
  let gateway: Program;
  let url = "";

  before(async () => {
    gateway = new Program("examples/gateway.ts", "--grpc-port=0", "--http-port=0", ...quiet);
    url = `http://${await gateway.address("HTTP")}`;
    browser = await startChromium();
  });

  after(async () => {
    await browser.close();
    await gateway[Symbol.asyncDispose]();
  });

  test("two pages in one room: lines, who is writing, and lines of other rooms that are not read", async () => {
    await using ada = await ChatPage.open(browser, url, "Ada");
    await using bob = await ChatPage.open(browser, url, "Bob");
    await ada.say("Good morning & <b>more</b>");
    await bob.has("Good morning & <b>more</b>");
    await bob.page.getByLabel("Your line").pressSequentially("Morn");
    await ada.page.locator("#typing").filter({ hasText: "Bob is writing" }).waitFor();
    await bob.say("Morning");
    await ada.has("Morning");
    assert.equal(await ada.page.locator("#typing").textContent(), "");
    await bob.page.getByRole("link", { name: "kitchen" }).click();
    await bob.say("Tea is ready");
    await ada.page.getByRole("link", { name: "kitchen 1 unread" }).waitFor();
    assert.equal(await ada.page.title(), "(1) lobby · Chat");
    await ada.page.getByRole("link", { name: "kitchen" }).click();
    await ada.has("Tea is ready");
    assert.equal(await ada.page.title(), "kitchen · Chat");
  });

  test("who comes in sees what was said; another room is one that is entered", async () => {
    await using ada = await ChatPage.open(browser, url, "Ada", { room: "attic" });
    await ada.say("Dusty here");
    await ada.has("Dusty here");
    await using bob = await ChatPage.open(browser, url, "Bob");
    await bob.page.getByLabel("Another room").fill("attic");
    await bob.page.getByRole("button", { name: "Enter" }).click();
    await bob.has("Dusty here");
    assert.deepEqual(await bob.texts(), ["Dusty here"]);
  });

  test("who is there is shown, under the name of now", async () => {
    await using ada = await ChatPage.open(browser, url, "Ada", { room: "people" });
    await using bob = await ChatPage.open(browser, url, "Bob", { room: "people" });
    const heading = ada.page.locator("#here-title");
    await heading.filter({ hasText: "2 here" }).waitFor();
    const people = ada.page.locator("#people .who");
    assert.deepEqual(await people.allTextContents(), ["Ada", "Bob"]);
    await bob.page.getByLabel("Your name").fill("Bobby");
    await bob.page.keyboard.press("Enter");
    await people.filter({ hasText: "Bobby" }).waitFor();
  });

  test("rule 57: a page that the browser has frozen has every line when it is active again, once", async () => {
    await using ada = await ChatPage.open(browser, url, "Ada", { room: "frozen" });
    await using bob = await ChatPage.open(browser, url, "Bob", { room: "frozen" });
    await ada.say("before");
    await bob.has("before");
    const devtools = await bob.page.context().newCDPSession(bob.page);
    await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
    const lines = ["one", "two", "three"];
    for (const line of lines) {
      await ada.say(line);
      await ada.has(line);
    }
    await devtools.send("Page.setWebLifecycleState", { state: "active" });
    await bob.has("three");
    assert.deepEqual(await bob.texts(), ["before", ...lines]);
    await bob.say("awake");
    await ada.has("awake");
    await bob.live();
  });

  test("a connection that is cut comes back at the time that the page says, and nothing is missing", async () => {
    await using ada = await ChatPage.open(browser, url, "Ada", { room: "cut" });
    await using bob = await ChatPage.open(browser, url, "Bob", { room: "cut" });
    await ada.say("before");
    await bob.has("before");
    await bob.cut();
    await ada.say("meanwhile");
    await ada.has("meanwhile");
    await bob.notes("The connection was lost at");
    await bob.say("from Bob");
    await bob.notes("What was said meanwhile follows.");
    await bob.live();
    for (const one of [ada, bob]) {
      await one.has("from Bob");
      await one.has("meanwhile");
      assert.deepEqual((await one.texts()).toSorted(), ["before", "from Bob", "meanwhile"]);
    }
    assert.deepEqual(await bob.texts(), await ada.texts());
  });

  test("without a server the page says when it tries again; with a server again it goes on", async () => {
    const flags = ["--grpc-port=0", "--http-port=0", ...quiet];
    await using first = new Program("examples/gateway.ts", ...flags);
    const address = await first.address("HTTP");
    await using ada = await ChatPage.open(browser, `http://${address}`, "Ada");
    await first.stop();
    await ada.page
      .locator("#state")
      .filter({ hasText: /^Cut off, next attempt at \d/ })
      .waitFor();
    assert.match((await ada.page.locator("#countdown").textContent()) ?? "", /^in \d+ s$/);
    await ada.say("is anybody there?");
    const again = flags.map((flag) =>
      flag.startsWith("--http") ? `--http-port=${address.split(":")[1]}` : flag,
    );
    await using second = new Program("examples/gateway.ts", ...again);
    await second.address("HTTP");
    await ada.live();
    await ada.has("is anybody there?");
  });

  test("all of it by keyboard", async () => {
    await using ada = await ChatPage.open(browser, url, "Ada");
    const focused = (): Promise<string> =>
      ada.page.evaluate("document.activeElement.id || document.activeElement.textContent");
    const seen: string[] = [];
    for (let step = 0; step < 12; step++) {
      await ada.page.keyboard.press("Tab");
      seen.push(await focused());
    }
    for (const name of ["cut", "lobby", "kitchen", "workshop", "other", "text", "name"]) {
      assert.ok(
        seen.some((one) => one.startsWith(name)),
        `${name} in ${seen.join(", ")}`,
      );
    }
    await ada.page.getByRole("link", { name: "workshop" }).focus();
    await ada.page.keyboard.press("Enter");
    assert.equal(await ada.page.locator("#room-title").textContent(), "workshop");
    await ada.page.getByLabel("Your name").fill("Ada of the workshop");
    await ada.page.keyboard.press("Enter");
    await ada.live();
    await ada.say("under another name");
    await ada.page.locator(".who").filter({ hasText: "Ada of the workshop" }).first().waitFor();
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`axe finds nothing, and nothing is wider than a telephone, ${colorScheme}`, async () => {
      await using bob = await ChatPage.open(browser, url, "Bob", { room: "axe" });
      await bob.say("a line");
      for (const width of [1280, 800, 360]) {
        const viewport = { width, height: 760 };
        const options = { colorScheme, viewport, reducedMotion: "reduce", room: "axe" } as const;
        await using ada = await ChatPage.open(browser, url, "Ada", options);
        await ada.say(`a line of ${"a-very-long-word".repeat(12)}`);
        await ada.has("a line");
        await ada.page.locator("summary").click();
        const findings = await ada.page.evaluate<Findings>(`${axe}; axe.run()`);
        const texts = findings.violations.flatMap(({ id, nodes }) =>
          nodes.map(({ html }) => `${id}: ${html}`),
        );
        assert.deepEqual(texts, [], `${width}`);
        assert.equal(await ada.page.evaluate("document.documentElement.scrollWidth - innerWidth"), 0);
      }
    });
  }

  test("a gateway in front of a server of another process shows it too", async () => {
    await using grpc = new Program("examples/grpc-only.ts", "--grpc-port=0", ...quiet);
    const upstream = (await grpc.address("GRPC")).split(":")[1];
    await using http = new Program(
      "examples/http-only.ts",
      `--grpc-port=${upstream}`,
      "--http-port=0",
      ...quiet,
    );
    const origin = `http://${await http.address("HTTP")}`;
    await using ada = await ChatPage.open(browser, origin, "Ada");
    await using bob = await ChatPage.open(browser, origin, "Bob");
    await ada.say("over two processes");
    await bob.has("over two processes");
    await bob.cut();
    await ada.say("meanwhile");
    await ada.has("meanwhile");
    await bob.has("meanwhile");
    assert.deepEqual(await bob.texts(), ["over two processes", "meanwhile"]);
  });
});
