import type { Browser, Page } from "playwright-core";
import { noChromium, startChromium } from "../../test/support/chromium.ts";
import { Missing } from "../tools.ts";
import type { Member } from "./process-member.ts";

/** Chromium's `EventSource` as a member of a room. */
export class BrowserMember implements Member {
  readonly name = "Chromium's EventSource";
  readonly positions: string[] = [];
  readonly #browser: Browser;
  readonly #page: Page;
  readonly #room: string;

  private constructor(browser: Browser, page: Page, room: string) {
    this.#browser = browser;
    this.#page = page;
    this.#room = room;
  }

  /** @param origin `http://host:port` @throws Missing where there is no Chromium */
  static async start(origin: string, room: string): Promise<BrowserMember> {
    if (noChromium !== false) throw new Missing("Chromium is not installed");
    const browser = await startChromium();
    const page = await browser.newPage();
    await page.goto(`${origin}/readyz`);
    const member = new BrowserMember(browser, page, room);
    await page.exposeFunction("seen", (position: string) => member.positions.push(position));
    return member;
  }

  async join(): Promise<void> {
    const after = this.positions.at(-1);
    const query = after === undefined ? "" : `?$lastEventId=${after}`;
    await this.#page.evaluate(`
      globalThis.source = new EventSource("/v1/rooms/${this.#room}:watch${query}");
      source.addEventListener("message", ({ data, lastEventId }) => {
        if ("line" in JSON.parse(data)) seen(lastEventId);
      });`);
  }

  async leave(): Promise<void> {
    await this.#page.evaluate("source.close()");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}
