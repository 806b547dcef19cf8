/** What there is to know about a message or an enum. */
import { commentNodes } from "./comment-text.js";
import { h } from "./dom.js";
import { shortName } from "./model.js";
import { hashOf } from "./place.js";
import { fieldsTable } from "./type-parts.js";

/** @import { App, View } from "./console.js" */
/** @import { EnumType, Model } from "./model.js" */
/** @import { Place } from "./place.js" */

/**
 * @param {App} app
 * @param {Place} place
 * @returns {View | undefined}
 */
export function typeView({ model }, { name }) {
  const type = model.types.get(name);
  if (type === undefined) return undefined;
  const title = shortName(type.name);
  const element = h(
    "article.type-page",
    null,
    h("p.crumbs", null, h("code", null, type.name), h("span.file", null, type.file)),
    h(
      "div.headline",
      null,
      h("h1", null, title),
      h("span.tag", null, type.kind),
      type.deprecated && h("span.tag.warn", null, "deprecated"),
    ),
    h("div.comment", null, commentNodes(type.comment)),
    type.kind === "message" && type.rules !== undefined && h("p.note", null, type.rules),
    h(
      "section",
      null,
      h("h2", null, type.kind === "enum" ? "Values" : "Fields"),
      type.kind === "enum" ? valuesTable(type) : fieldsTable(model, type),
    ),
    usersSection(model, name),
  );
  return { title, element };
}

/** @param {EnumType} type */
function valuesTable({ values }) {
  return h(
    "ul.fields",
    null,
    values.map(({ name, number, comment, deprecated }) =>
      h(
        "li.field",
        null,
        h(
          "div.field-head",
          null,
          h("code", { class: deprecated ? "field-name old" : "field-name" }, name),
          deprecated && h("span.tag.warn", null, "deprecated"),
          h("span.number", null, `= ${number}`),
        ),
        h("div.comment", null, commentNodes(comment)),
      ),
    ),
  );
}

/**
 * @param {Model} model
 * @param {string} name
 */
function usersSection(model, name) {
  const users = model.usersOf(name);
  if (users.length === 0) return null;
  return h(
    "section",
    null,
    h("h2", null, "Used by"),
    h(
      "ul.users",
      null,
      users.map((user) => {
        const isRpc = user.startsWith("rpc/");
        const of = user.slice(user.indexOf("/") + 1);
        return h(
          "li",
          null,
          h(
            "a",
            { href: hashOf(isRpc ? "rpc" : "type", of) },
            isRpc ? of.slice(of.lastIndexOf(".") + 1) : shortName(of),
          ),
        );
      }),
    ),
  );
}
