/** All services with their rpcs. */
import { commentNodes, inlineNodes } from "./comment-text.js";
import { h, icon } from "./dom.js";
import { kindText, summaryOf } from "./model.js";
import { hashOf } from "./place.js";
import { mainRoute, verbTag } from "./routes.js";

/** @import { App, View } from "./console.js" */
/** @import { Rpc, Service } from "./model.js" */

/**
 * @param {App} app
 * @returns {View}
 */
export function overviewView({ model }) {
  const { title, call } = model.text;
  const count = model.rpcs.size;
  const element = h(
    "article.overview",
    null,
    h("h1", null, title),
    h(
      "p.lead",
      null,
      `${count} ${count === 1 ? "rpc" : "rpcs"} in ${model.services.length} ${model.services.length === 1 ? "service" : "services"}. `,
      call ? "Choose one to call it, or press " : "Choose one to read about it, or press ",
      h("kbd", null, "/"),
      " to search.",
    ),
    model.services.length === 0 &&
      h("p.note", null, "The server has no rpcs yet. Load this page again when they are there."),
    model.services.map((service) => serviceSection(service, call)),
  );
  return { title, element };
}

/**
 * @param {Service} service
 * @param {boolean} mayCall
 */
function serviceSection(service, mayCall) {
  const { short, name, comment, deprecated, rpcs, file } = service;
  return h(
    "section.service",
    null,
    h("h2", null, short, deprecated && h("span.tag.warn", null, "deprecated")),
    h("p.full-name", null, h("code", null, name), h("span.file", null, file)),
    h("div.comment", null, commentNodes(comment)),
    h(
      "ul.rpcs",
      null,
      rpcs.map((rpc) => rpcRow(rpc, mayCall)),
    ),
  );
}

/**
 * @param {Rpc} rpc
 * @param {boolean} mayCall
 */
function rpcRow(rpc, mayCall) {
  const { id, name, kind, comment, deprecated } = rpc;
  const route = mainRoute(rpc);
  return h(
    "li",
    null,
    h(
      "span",
      { class: `kind ${kind}`, title: kindText(kind) },
      icon(kind),
      h("span.hidden", null, kindText(kind)),
    ),
    h("a", { href: hashOf(mayCall ? "call" : "rpc", id), class: deprecated ? "old" : null }, name),
    h("span.summary", null, inlineNodes(summaryOf(comment))),
    h("span.go", { "aria-hidden": "true" }, mayCall ? "Call" : "Read", icon("next")),
    route !== undefined && h("span.route", null, verbTag(route.verb), h("code", null, route.path)),
  );
}
