/**
 * Pictures of the console and the chat for the documentation, `docs/images/*.png`: `node tools/run.js tools/screenshots.js`.
 *
 * It starts the example gateway and Debian's Chromium.
 */
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "docs/images");
const viewport = { width: 1200, height: 720 };

const args = ["examples/gateway.ts", "--http-port", "0", "--grpc-port", "0", "--exporter-port", "off"];
const gateway = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
const url = await consoleOf(gateway);
const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
mkdirSync(folder, { recursive: true });
try {
  const request = new URLSearchParams({ via: "rest:0", m: JSON.stringify({ name: "shelves/1/books/1" }) });
  await picture(
    "console-call",
    "light",
    `#/call/library.v1.LibraryService/GetBook?${request.toString()}`,
    async (page) => {
      await page.locator(".send-buttons .primary").click();
      await page.locator(".status-line .code").waitFor();
    },
  );
  await picture("console-live", "dark", "#/live", async (page) => {
    const end = Date.now() + 40_000;
    while (Date.now() < end) {
      const paths = ["shelves", "shelves/1/books", "shelves/1", "shelves/none"].filter(
        () => Math.random() < 0.6,
      );
      await Promise.all(paths.map((path) => page.request.get(new URL(`/v1/${path}`, url).href)));
      await page.waitForTimeout(30 + 120 * Math.abs(Math.sin(Date.now() / 4000)));
    }
  });
  await chat();
} finally {
  await browser.close();
  gateway.kill();
}

/** Waits until a program says where its console is. */
async function consoleOf(program) {
  for await (const line of createInterface({ input: program.stdout })) {
    const [, found] = /^\[DOCS\] (.*)$/.exec(line) ?? [];
    if (found !== undefined) return found;
  }
  throw new Error("the gateway has no console");
}

/** Two people in one room; the connection of one of them is cut. */
async function chat() {
  const open = async (person) => {
    const context = await browser.newContext({
      viewport: { width: 1200, height: 640 },
      colorScheme: "light",
    });
    await context.addInitScript(`localStorage.setItem("chat name", "${person}")`);
    const page = await context.newPage();
    await page.goto(new URL("/chat", url).href);
    await page.locator(".state.open").waitFor();
    return page;
  };
  const say = async (page, text) => {
    await page.getByLabel("Your line").fill(text);
    await page.keyboard.press("Enter");
    await page.waitForTimeout(300);
  };
  const [ada, bob] = [await open("Ada"), await open("Bob")];
  await say(ada, "Good morning. Is anybody there already?");
  await say(bob, "I am. The coffee is on, the tea takes a little longer.");
  await bob.goto(new URL("/chat#kitchen", url).href);
  await say(bob, "Tea is ready.");
  await bob.goto(new URL("/chat#lobby", url).href);
  await ada.getByRole("button", { name: "Cut the connection" }).click();
  await ada.locator(".state.waiting").waitFor();
  await ada.waitForTimeout(300);
  await ada.screenshot({ path: join(folder, "chat.png") });
}

async function picture(name, colorScheme, fragment, prepare) {
  const page = await browser.newPage({ viewport, colorScheme });
  await page.goto(url + fragment);
  await page.locator("main > *").first().waitFor();
  await prepare(page);
  await page.waitForTimeout(400);
  await page.screenshot({ path: join(folder, `${name}.png`) });
  await page.close();
}
