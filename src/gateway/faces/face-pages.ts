import type { ResponseHeaders } from "../http/exchange.ts";

/** A page of a face that people look at. */
export interface FacePage {
  /** What a link to it says. */
  readonly text: string;
  readonly path: string;
}

/** A link from one page of a server to another. It is relative, for a prefix in front of all paths may be unknown here. */
export function relativeLink(from: string, to: string): string {
  const depth = from.split("/").length - 2;
  return `${depth === 0 ? "./" : "../".repeat(depth)}${to.slice(1)}`;
}

/**
 * The headers of a page and of its files: browsers load nothing but these files, and call this server alone.
 *
 * @param images where images may come from, as `img-src` says it
 */
export function pageHeaders(images: "'self'" | "data:"): Readonly<ResponseHeaders> {
  return {
    "content-security-policy": [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      `img-src ${images}`,
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ].join("; "),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
  };
}
