/** The playground of GraphQL: rule 27 of the faces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { LibraryService } from "../../src/services/library/library-service.ts";
import { noChromium, startChromium } from "../support/chromium.ts";
import { GraphqlHost } from "../support/graphql-host.ts";

const html = { accept: "text/html,application/xhtml+xml,*/*;q=0.8" };

test("rule 27, F17: browsers get a page that no other page can frame; all others do not", async () => {
  await using host = await GraphqlHost.of([new LibraryService()]);
  const page = await fetch(host.url, { headers: html });
  assert.deepEqual([page.status, page.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
  assert.match(
    page.headers.get("content-security-policy") ?? "",
    /default-src 'none'.*frame-ancestors 'none'/,
  );
  const text = await page.text();
  assert.doesNotMatch(text, /https?:\/\/|<script(?! type="module" src)/);
  for (const [, file = ""] of text.matchAll(/(?:src|href)="([^"]*playground[^"]*)"/g)) {
    assert.equal((await fetch(new URL(file, host.url))).status, 200, file);
  }
  const query = await fetch(`${host.url}?query={__typename}`, { headers: html });
  assert.deepEqual(await query.json(), { data: { __typename: "Query" } });
  await using without = await GraphqlHost.of([new LibraryService()], { playground: false });
  assert.equal((await fetch(without.url, { headers: html })).status, 400);
  assert.equal((await fetch(`${without.url}/playground.js`)).status, 404);
});

test(
  "rule 27: names are completed, operations run, subscriptions are live",
  { skip: noChromium },
  async () => {
    await using host = await GraphqlHost.of([new LibraryService()]);
    const browser = await startChromium();
    try {
      const page = await browser.newPage();
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(error.message));
      page.on("console", (message) => void (message.type() === "error" && problems.push(message.text())));
      const answered = page.waitForResponse((response) => response.request().method() === "POST");
      await page.goto(host.url);
      await answered;
      await page.fill("#query", "");
      await page.locator("#query").pressSequentially("mutation { createShelf(shelf: {theme: $t}) { nam");
      await page.getByRole("option", { name: "name" }).waitFor();
      await page.keyboard.press("Enter");
      assert.match(await page.inputValue("#query"), /\{ name$/);
      await page.fill("#query", "mutation($t: String!) { createShelf(shelf: {theme: $t}) { name theme } }");
      await page.fill("#variables", '{"t": "<b>Plays</b>"}');
      await page.keyboard.press("Control+Enter");
      await page.locator("#query").press("Control+Enter");
      await page.getByText("<b>Plays</b>").waitFor();
      await page.fill("#variables", "");
      await page.fill("#query", 'subscription { watchBooks(parent: "shelves/1") { type } }');
      await page.click("#run");
      await page.getByText("CHANGE_TYPE_SYNCED").waitFor();
      await page.click("#stop");
      await page.getByText("Stopped.").waitFor();
      assert.equal(await page.locator("#history option").count(), 3);
      assert.deepEqual(problems, []);
    } finally {
      await browser.close();
    }
  },
);
