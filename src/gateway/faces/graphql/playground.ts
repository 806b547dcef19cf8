import { pathOf, queryOf } from "../../../core/net/request-target.ts";
import { rankOf } from "../../http/accept.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { weightedList } from "../../http/weighted-list.ts";
import { type FacePage, pageHeaders, relativeLink } from "../face-pages.ts";
import { pageText } from "./page/page-files.ts";

const headers = { ...pageHeaders("data:"), vary: "accept" };

/** Answers a request of a browser for the page. @param pages to which it links @returns whether it was one */
export function answerPage(exchange: HttpExchange, pages: readonly FacePage[]): boolean {
  const { url } = exchange.head;
  const path = pathOf(url);
  const query = new URLSearchParams(queryOf(url, path));
  const accept = exchange.head.headers.accept ?? "";
  if (
    query.has("query") ||
    query.has("extensions") ||
    query.has("documentId") ||
    !accept.includes("text/html")
  )
    return false;
  const ranges = weightedList(accept);
  if (rankOf(ranges, "text/html").quality < rankOf(ranges, "application/json").quality) return false;
  // Relative, for a prefix in front of all paths is not known to be the client's.
  const links = pages.map(({ text, path: to }) => `<a href="${relativeLink(path, to)}">${text}</a>`).join("");
  const html = pageText("playground.html")
    .replaceAll("BASE", path.slice(path.lastIndexOf("/") + 1))
    .replace("LINKS", links);
  exchange.respond(200, { ...headers, "content-type": "text/html; charset=utf-8" }, html);
  return true;
}

/** Answers a request for a file of the page. */
export function answerPageFile(name: string, exchange: HttpExchange): void {
  const type = name.endsWith(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8";
  exchange.respond(200, { ...headers, "content-type": type }, pageText(name));
}
