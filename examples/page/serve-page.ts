import type { HttpServer } from "../../src/index.ts";
import { pageText } from "./page-files.ts";

const files = [
  { url: "/", file: "index.html", type: "text/html; charset=utf-8" },
  { url: "/page/page.css", file: "page.css", type: "text/css; charset=utf-8" },
  { url: "/page/page.js", file: "page.js", type: "text/javascript; charset=utf-8" },
];

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

/** Serves the page of the example at `/`, by its own routes, in addition to those of the contract. */
export function servePage({ fastify }: HttpServer): void {
  for (const { url, file, type } of files) {
    const text = pageText(file);
    fastify.get(url, (_request, reply) =>
      reply
        .headers({
          "content-type": type,
          "content-security-policy": policy,
          "cache-control": "no-cache",
          "x-content-type-options": "nosniff",
          "referrer-policy": "no-referrer",
        })
        .send(text),
    );
  }
}
