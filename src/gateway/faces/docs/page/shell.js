/** What stands around every view: header, list of services, search. */
import { h, icon, iconButton, replace } from "./dom.js";
import { kindText } from "./model.js";
import { hashOf } from "./place.js";
import { Search } from "./search.js";
import { nextTheme, themeButton } from "./theme.js";

/** @import { App, View } from "./console.js" */
/** @import { Rpc, Service } from "./model.js" */
/** @import { Place } from "./place.js" */

/** Up to so many rpcs, the lists of all services are open. */
const mostOpen = 60;

export class Shell {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.main = h("main", { id: "main", tabindex: "-1" });
    this.search = new Search(app.model);
    this.nav = h("nav", { id: "services", "aria-label": "Services", tabindex: "-1" }, this.services());
    this.menu = iconButton(
      "menu",
      "Services",
      () => this.openMenu(!document.body.classList.contains("menu")),
      {
        "aria-expanded": "false",
        "aria-controls": "services",
        class: "quiet square menu-button",
      },
    );
    document.body.append(
      h(
        "a.skip",
        { href: "#main", onclick: (/** @type {Event} */ event) => this.skip(event) },
        "To the content",
      ),
      this.header(),
      h("div.frame", null, this.nav, this.main),
      this.search.dialog,
    );
    addEventListener("keydown", (event) => this.pressed(event));
  }

  /**
   * Shows a view.
   *
   * @param {Place} place
   * @param {View} view
   */
  show(place, { title, element }) {
    const { model } = this.app;
    document.title = title === model.text.title ? title : `${title} · ${model.text.title}`;
    replace(this.main, element);
    this.openMenu(false);
    for (const link of document.querySelectorAll("#services a, header a")) {
      const isCurrent =
        link.getAttribute("data-name") === place.name && place.name !== ""
          ? true
          : link.getAttribute("data-view") === place.view;
      if (isCurrent) {
        link.setAttribute("aria-current", "page");
        const group = link.closest("details");
        if (group !== null) group.open = true;
        if (link.closest("nav") !== null) link.scrollIntoView({ block: "nearest" });
      } else link.removeAttribute("aria-current");
    }
    scrollTo(0, 0);
    if (this.isMoved) this.main.focus({ preventScroll: true });
    this.isMoved = true;
  }

  header() {
    const { title, links, live, call } = this.app.model.text;
    const views = h(
      "div.views",
      null,
      live && h("a", { href: hashOf("live"), "data-view": "live" }, "Live"),
      call && h("a", { href: hashOf("history"), "data-view": "history" }, "History"),
      links.map(({ text, url }) => h("a.further", { href: url, rel: "noopener noreferrer" }, text)),
    );
    const search = h(
      "button.search-button",
      { type: "button", onclick: () => this.search.open(), "aria-keyshortcuts": "/" },
      icon("search"),
      h("span", null, "Search"),
      h("kbd", { "aria-hidden": "true" }, "/"),
    );
    return h(
      "header",
      null,
      this.menu,
      h("a.title", { href: hashOf("overview"), "data-view": "overview" }, title),
      search,
      views,
      themeButton(),
    );
  }

  services() {
    const { services, rpcs, text } = this.app.model;
    return [
      services.map((service) => serviceGroup(service, rpcs.size <= mostOpen, text.call)),
      // Where the header has no room for them.
      h(
        "p.nav-links",
        null,
        text.links.map(({ text: name, url }) => h("a", { href: url, rel: "noopener noreferrer" }, name)),
      ),
    ];
  }

  /** @param {boolean} isOpen */
  openMenu(isOpen) {
    document.body.classList.toggle("menu", isOpen);
    this.menu.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.nav.focus();
  }

  /** @param {Event} event the fragment of the page is a view, no element */
  skip(event) {
    event.preventDefault();
    this.main.focus();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const { key, target, ctrlKey, metaKey, altKey } = event;
    if (key === "Escape") this.openMenu(false);
    if ((ctrlKey || metaKey) && key === "k") {
      event.preventDefault();
      this.search.open();
      return;
    }
    if (ctrlKey || metaKey || altKey) return;
    if (
      target instanceof HTMLElement &&
      target.closest("input, textarea, select, [contenteditable]") !== null
    )
      return;
    if (key === "/") {
      event.preventDefault();
      this.search.open();
    } else if (key === "t") nextTheme();
  }
}

/**
 * @param {Service} service
 * @param {boolean} isOpen
 * @param {boolean} mayCall
 */
function serviceGroup({ short, package: inPackage, rpcs, deprecated }, isOpen, mayCall) {
  return h(
    "details",
    { open: isOpen },
    h(
      "summary",
      null,
      h("span.name", { class: deprecated ? "name old" : "name" }, short),
      h("span.package", null, inPackage),
    ),
    h(
      "ul",
      null,
      rpcs.map((rpc) => h("li", null, rpcLink(rpc, mayCall))),
    ),
  );
}

/**
 * @param {Rpc} rpc
 * @param {boolean} mayCall
 */
function rpcLink({ id, name, kind, deprecated }, mayCall) {
  return h(
    "a",
    { href: hashOf(mayCall ? "call" : "rpc", id), "data-name": id },
    h("span", { class: `kind ${kind}`, title: kindText(kind) }, icon(kind)),
    h("span", { class: deprecated ? "old" : null }, name),
    h("span.hidden", null, `, ${kindText(kind)}${deprecated ? ", deprecated" : ""}`),
  );
}
