/** Media types of the files of the console, by the ends of their names. */
const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  json: "application/json",
};

/** The scripts of the console. A browser is told of all of them at once, in place of finding one after another. */
const scripts: readonly string[] = [
  "answer.js",
  "call-view.js",
  "calls.js",
  "codes.js",
  "comment-text.js",
  "console.js",
  "dom.js",
  "fetch-call.js",
  "form-values.js",
  "form.js",
  "header-rows.js",
  "history-store.js",
  "history-view.js",
  "json-nodes.js",
  "json-text.js",
  "live-view.js",
  "message-list.js",
  "model.js",
  "outcomes.js",
  "overview-view.js",
  "place.js",
  "plot.js",
  "request-state.js",
  "rest-request.js",
  "routes.js",
  "rpc-view.js",
  "scalar-inputs.js",
  "search.js",
  "secrets.js",
  "shell.js",
  "snippet-tabs.js",
  "snippets.js",
  "socket-call.js",
  "theme.js",
  "type-parts.js",
  "type-view.js",
  "well-known.js",
];

/** The files of the console, each at a path of its own below that of the page. */
export const pageFiles: readonly string[] = ["console.css", "icon.svg", ...scripts];

/** The media type of a file of the console. */
export function mediaTypeOf(file: string): string {
  return types[file.slice(file.lastIndexOf(".") + 1)] ?? "application/octet-stream";
}

/** Writes the page: its links are relative to its path. @param base last segment of the path */
export function pageWith(html: string, base: string, title: string): string {
  const preloads = scripts.map((file) => `    <link rel="modulepreload" href="./${base}/${file}" />`);
  return html
    .replace(/^.*<!-- preloads -->$/m, preloads.join("\n"))
    .replaceAll("BASE/", `./${base}/`)
    .replaceAll("TITLE", escapeHtml(title));
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
