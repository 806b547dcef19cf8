import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import type { Browser } from "playwright-core";
import { bundle, firstLoad } from "../support/browser-bundle.ts";
import { noChromium, startChromium } from "../support/chromium.ts";
import { startGateway, type Gateway } from "../support/gateway-fixture.ts";

test("ts-ms/rest is small, and needs neither Node nor eval", async () => {
  const text = await bundle('export * from "./src/entries/rest.ts";', "external");
  const imports = [...text.matchAll(/from"([^"]+)"/g)].map(([, name = ""]) => name);
  assert.deepEqual(
    imports.filter((name) => !/^@(?:bufbuild\/protobuf|connectrpc\/connect)(?:\/|$)/.test(name)),
    [],
  );
  assert.ok(imports.length > 0);
  assert.doesNotMatch(text, /\beval\(|\bFunction\(|\bBuffer\b|\brequire\(/);
  const whole = gzipSync(text, { level: 9 }).length;
  assert.ok(whole <= 14.75 * 1024, `${whole} bytes`);
  // Streams come with the first of them.
  const first = await firstLoad('export * from "./src/entries/rest.ts";');
  assert.ok(!first.includes("application/x-ndjson"));
  const size = gzipSync(first, { level: 9 }).length;
  assert.ok(size <= 12 * 1024, `${size} bytes`);
});

describe("in Chromium", { skip: noChromium, timeout: 110_000 }, () => {
  let browser: Browser;
  let gateway: Gateway;

  before(async () => {
    const page = `
      import { createClient } from "@connectrpc/connect";
      import { EchoService } from "./gen/tsms/test/v1/echo_pb.ts";
      import { restTransport } from "./src/entries/rest.ts";
      const client = createClient(EchoService, restTransport({ baseUrl: "" }));
      async function* each(...items: { text: string }[]) {
        yield* items;
      }
      const calls: Record<string, () => Promise<unknown>> = {
        unary: async () => (await client.echo({ text: "käse/😀" })).text,
        async stream() {
          const found: number[] = [];
          for await (const { index } of client.repeat({ text: "a b", count: 5 })) found.push(index);
          return found;
        },
        upload: async () => (await client.collect(each({ text: "a" }, { text: "b" }))).texts,
        error: async () => client.echo({ behaviour: { failure: { code: 9, message: "no" } } }),
        deadline: async () => client.echo({ behaviour: { sleepMs: 60_000 } }, { timeoutMs: 50 }),
        async bidi() {
          for await (const _ of client.chat(each({ text: "a" }))) return "never";
        },
        async redirect() {
          const rules = [{ selector: "*", get: "/redirect" }];
          return createClient(EchoService, restTransport({ baseUrl: "", rules })).echo({});
        },
      };
      Object.assign(globalThis, {
        run: (name: string) =>
          calls[name]!().then(
            (value) => ({ value }),
            (error) => ({ code: error.code, message: error.rawMessage ?? error.message }),
          ),
      });`;
    const script = await bundle(page, "bundle");
    gateway = await startGateway({}, [], ({ fastify }) => {
      fastify.get("/page", (_, reply) =>
        reply
          .header("content-security-policy", "default-src 'none'; script-src 'self'; connect-src 'self'")
          .type("text/html")
          .send('<!doctype html><script type="module" src="/page.js"></script>'),
      );
      fastify.get("/page.js", (_, reply) => reply.type("text/javascript").send(script));
      fastify.get("/redirect", (_, reply) => reply.redirect("/page"));
    });
    browser = await startChromium();
  });

  after(async () => {
    await browser?.close();
    await gateway?.[Symbol.asyncDispose]();
  });

  test("calls of all kinds on a page whose policy forbids eval", async () => {
    const page = await browser.newPage();
    await page.goto(`${gateway.url}/page`);
    await page.waitForFunction(() => "run" in globalThis);
    const run = (name: string): Promise<unknown> =>
      page.evaluate((call) => (globalThis as unknown as { run: (call: string) => unknown }).run(call), name);
    assert.deepEqual(await run("unary"), { value: "käse/😀" });
    assert.deepEqual(await run("stream"), { value: [0, 1, 2, 3, 4] });
    assert.deepEqual(await run("upload"), { value: ["a", "b"] });
    assert.deepEqual(await run("error"), { code: 9, message: "no" });
    const late = (await run("deadline")) as { code: number }; // As above.
    assert.equal(late.code, 4);
    const bidi = (await run("bidi")) as { code: number; message: string }; // As above.
    assert.equal(bidi.code, 12);
    assert.match(bidi.message, /WebSocket/);
    assert.deepEqual(await run("redirect"), { code: 2, message: "the server redirects" });
    await page.close();
  });
});
