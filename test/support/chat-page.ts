import assert from "node:assert/strict";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";

/** The page of the chat in a browser, with what went wrong in it. */
export class ChatPage implements AsyncDisposable {
  readonly page: Page;
  readonly problems: string[] = [];
  readonly #context: BrowserContext;

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context;
    this.page = page;
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => this.problems.push(error.message));
    page.on("console", (message) => {
      // A browser tells of every connection that is lost.
      if (
        message.type() === "error" &&
        !/WebSocket connection to|net::ERR_|status of 50/.test(message.text())
      )
        this.problems.push(message.text());
    });
  }

  /** Opens the page of a person. Resolves when it is live. @param origin `http://host:port` */
  static async open(
    browser: Browser,
    origin: string,
    name: string,
    { room = "", ...options }: BrowserContextOptions & { readonly room?: string } = {},
  ): Promise<ChatPage> {
    const context = await browser.newContext(options);
    await context.addInitScript(`localStorage.setItem("chat name", ${JSON.stringify(name)})`);
    const chat = new ChatPage(context, await context.newPage());
    await chat.page.goto(`${origin}/chat${room === "" ? "" : `#${room}`}`);
    await chat.live();
    return chat;
  }

  /** Resolves when the room on the page is live. */
  live(): Promise<void> {
    return this.page.locator(".state.open").waitFor();
  }

  async say(text: string): Promise<void> {
    await this.page.getByLabel("Your line").fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Resolves when a line is there that the server has confirmed. */
  has(text: string): Promise<void> {
    return this.#found(".line:not(.waiting)", text);
  }

  /** Resolves when the page has said something itself among the lines. */
  notes(text: string): Promise<void> {
    return this.#found(".note", text);
  }

  #found(what: string, text: string): Promise<void> {
    return this.page.locator(`.log:not([hidden]) ${what}`).filter({ hasText: text }).first().waitFor();
  }

  /** The lines of the room on the page. */
  texts(): Promise<string[]> {
    return this.page.locator(".log:not([hidden]) .line .text").allTextContents();
  }

  cut(): Promise<void> {
    return this.page.getByRole("button", { name: "Cut the connection" }).click();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#context.close();
    assert.deepEqual(this.problems, []);
  }
}
