import type { HttpServer } from "../../src/index.ts";
import { hubClientText } from "./hub-client-file.ts";
import { pageText } from "./page-files.ts";

/** A file of a page: where it is, and its text, which is read when it is asked for first. */
interface PageFile {
  readonly url: string;
  readonly type: string;
  readonly text: () => string | Promise<string>;
}

const html = "text/html; charset=utf-8";
const css = "text/css; charset=utf-8";
const script = "text/javascript; charset=utf-8";

const base: PageFile = { url: "/page/base.css", type: css, text: () => pageText("base.css") };

/** The files of each page. */
const pages = {
  library: [
    { url: "/", type: html, text: () => pageText("index.html") },
    { url: "/page/page.css", type: css, text: () => pageText("page.css") },
    { url: "/page/page.js", type: script, text: () => pageText("page.js") },
    base,
  ],
  chat: [
    { url: "/chat", type: html, text: () => pageText("chat.html") },
    { url: "/page/chat.css", type: css, text: () => pageText("chat.css") },
    { url: "/page/chat.js", type: script, text: () => pageText("chat.js") },
    { url: "/page/hub-client.js", type: script, text: hubClientText },
    base,
  ],
} as const satisfies Record<string, readonly PageFile[]>;

/** Content security policy: the page may load from and connect to this server only. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * Serves pages by their own routes, in addition to those of the contract: that of the library at `/`, that of the chat at
 * `/chat`. They call rpcs of the same server.
 */
export function servePages({ fastify }: HttpServer, ...names: readonly (keyof typeof pages)[]): void {
  for (const { url, type, text } of new Set(names.flatMap((name) => pages[name]))) {
    let read: Promise<string> | undefined;
    fastify.get(url, async (_request, reply) => {
      read ??= Promise.resolve(text());
      return reply
        .headers({
          "content-type": type,
          "content-security-policy": policy,
          "cache-control": "no-cache",
          "x-content-type-options": "nosniff",
          "referrer-policy": "no-referrer",
        })
        .send(await read);
    });
  }
}
