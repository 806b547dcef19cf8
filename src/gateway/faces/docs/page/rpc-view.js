/** What there is to know about an rpc. */
import { commentNodes } from "./comment-text.js";
import { h, icon } from "./dom.js";
import { getsMany, kindText, sendsMany } from "./model.js";
import { hashOf } from "./place.js";
import { pathNodes, verbTag } from "./routes.js";
import { fieldsTable, typeLink } from "./type-parts.js";

/** @import { App, View } from "./console.js" */
/** @import { Model, Rpc } from "./model.js" */
/** @import { Place } from "./place.js" */

/**
 * @param {App} app
 * @param {Place} place
 * @returns {View | undefined}
 */
export function rpcView(app, { name }) {
  const { model } = app;
  const rpc = model.rpcs.get(name);
  if (rpc === undefined) return undefined;
  const element = h(
    "article.rpc",
    null,
    rpcHeader(rpc, model, "rpc"),
    h("div.comment", null, commentNodes(rpc.comment)),
    waysSection(rpc, model),
    policySection(rpc, model),
    messageSection(model, "Request", rpc.input, sendsMany(rpc.kind)),
    messageSection(model, "Reply", rpc.output, getsMany(rpc.kind)),
  );
  return { title: rpc.name, element };
}

/**
 * The name of an rpc, what it is, and the tabs of its views.
 *
 * @param {Rpc} rpc
 * @param {Model} model
 * @param {"rpc" | "call"} view which is shown
 */
export function rpcHeader(rpc, model, view) {
  const { id, name, kind, service, deprecated, safe, idempotent, destructive } = rpc;
  /** @type {(text: string, of: "rpc" | "call") => HTMLElement} */
  const tab = (text, of) =>
    h("a", { href: hashOf(of, id), "aria-current": of === view ? "true" : null }, text);
  return h(
    "div.rpc-head",
    null,
    h("p.crumbs", null, h("a", { href: hashOf("overview") }, service.name)),
    h(
      "div.headline",
      null,
      h("h1", null, name),
      h("span", { class: `tag kind ${kind}` }, icon(kind), kindText(kind)),
      safe
        ? h("span.tag", { title: "Calls change nothing" }, "safe")
        : idempotent && h("span.tag", { title: "Several equal calls have the effect of one" }, "idempotent"),
      destructive && h("span.tag.warn", { title: "Calls remove or replace what is there" }, "destructive"),
      deprecated && h("span.tag.warn", null, "deprecated"),
    ),
    typeof deprecated === "string" && h("p.note.warn", null, `Deprecated: ${deprecated}`),
    model.text.call &&
      h("nav.tabs", { "aria-label": "Views of the rpc" }, tab("Call", "call"), tab("Documentation", "rpc")),
  );
}

/**
 * @param {Rpc} rpc
 * @param {Model} model
 */
function waysSection({ id, routes, kind, httpStatus }, { text: { socket, prefix } }) {
  const own = routes.filter(({ implicit }) => implicit !== true);
  /** @type {(name: string, ...what: import("./dom.js").Child[]) => HTMLElement} */
  const row = (name, ...what) => h("tr", null, h("th", { scope: "row" }, name), h("td", null, what));
  return h(
    "section",
    null,
    h("h2", null, "Ways to call it"),
    h(
      "div.scroll",
      { tabindex: "0", role: "region", "aria-label": "Ways to call it" },
      h(
        "table.ways",
        null,
        h(
          "tbody",
          null,
          own.map((route) =>
            row(
              "REST",
              h("div.route", null, verbTag(route.verb), pathNodes(prefix + route.path)),
              h(
                "p.hint",
                null,
                route.body === null
                  ? "no body"
                  : route.body === "*"
                    ? "the body is the request"
                    : ["the body is ", h("code", null, route.body.join("."))],
                route.response !== undefined && [", the answer is ", h("code", null, route.response)],
                route.source !== undefined && ` · ${route.source}`,
              ),
            ),
          ),
          row(
            "REST",
            h("div.route", null, verbTag("POST"), pathNodes(`${prefix}/${id}`)),
            h("p.hint", null, "the body is the request"),
          ),
          row(
            "Connect",
            h("div.route", null, verbTag("POST"), pathNodes(`${prefix}/${id}`)),
            h("p.hint", null, "with ", h("code", null, "Connect-Protocol-Version: 1")),
          ),
          row("gRPC", h("code", null, id), h("p.hint", null, "over HTTP/2; gRPC-Web over any version")),
          socket !== undefined &&
            row(
              "WebSocket",
              h("code", null, prefix + socket),
              h("p.hint", null, "one call of many: ", h("code", null, `{"id": 1, "method": "${id}"}`)),
            ),
        ),
      ),
    ),
    httpStatus !== undefined && h("p.hint", null, `REST answers with the status ${httpStatus}.`),
    kind === "server_streaming" &&
      h(
        "p.hint",
        null,
        "Streams are NDJSON, server-sent events or an array, as ",
        h("code", null, "Accept"),
        " asks.",
      ),
  );
}

/**
 * @param {Rpc} rpc
 * @param {Model} model
 */
function policySection({ access, criticality, cost, kind }, { text: { limits } }) {
  const { defaultTimeoutMs, maxTimeoutMs, maxBodyBytes } = limits;
  /** @type {[string, string][]} */
  const rows = [];
  if (kind === "unary")
    rows.push([
      "Deadline",
      defaultTimeoutMs > 0 ? `${seconds(defaultTimeoutMs)} unless the call asks for another` : "none",
    ]);
  else rows.push(["Deadline", "none unless the call asks for one"]);
  if (maxTimeoutMs > 0) rows.push(["Longest deadline", seconds(maxTimeoutMs)]);
  rows.push(["Largest body", bytesText(maxBodyBytes)]);
  for (const [name, value] of Object.entries(access ?? {})) {
    rows.push([`Access: ${name}`, typeof value === "string" ? value : JSON.stringify(value)]);
  }
  if (criticality !== undefined) rows.push(["Under overload", criticality.toLowerCase()]);
  if (cost !== undefined) rows.push(["Counts against limits as", `${cost} calls`]);
  return h(
    "section",
    null,
    h("h2", null, "Limits and policies"),
    h(
      "dl.facts",
      null,
      rows.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
    ),
  );
}

/** @param {number} ms */
function seconds(ms) {
  return ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1000} s`;
}

/** @param {number} count */
function bytesText(count) {
  return count % 1_048_576 === 0 ? `${count / 1_048_576} MiB` : `${Math.round(count / 1024)} KiB`;
}

/**
 * @param {Model} model
 * @param {string} title
 * @param {string} name
 * @param {boolean} isStream
 */
function messageSection(model, title, name, isStream) {
  const message = model.message(name);
  return h(
    "section",
    null,
    h("h2", null, title, " ", h("span.of-type", null, isStream && "stream of ", typeLink(model, name))),
    message !== undefined && h("div.comment", null, commentNodes(message.comment)),
    message !== undefined && fieldsTable(model, message, 1),
  );
}
