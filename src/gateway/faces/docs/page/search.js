/** Search over names and comments, opened by `/`. */
import { h, newId, replace } from "./dom.js";
import { kindText, shortName, summaryOf } from "./model.js";
import { hashOf } from "./place.js";

/** @import { Model } from "./model.js" */

/**
 * @typedef {object} Entry something that can be found
 * @property {string} title
 * @property {string} inside where it is
 * @property {string} summary
 * @property {string} hash
 * @property {string} kind
 * @property {string} name in lower case, for the comparison
 * @property {string} text everything else in lower case
 */

const mostResults = 50;

export class Search {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    /** @type {Entry[] | undefined} */
    this.entries = undefined;
    this.chosen = 0;
    const listId = newId();
    this.list = h("ul", { id: listId, role: "listbox", "aria-label": "Results" });
    this.status = h("p.hint", { role: "status" });
    this.input = h("input", {
      type: "text",
      role: "combobox",
      placeholder: "Rpcs, types, fields and comments",
      "aria-label": "Search",
      "aria-controls": listId,
      "aria-expanded": "true",
      "aria-autocomplete": "list",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.find(),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event),
    });
    this.dialog = h(
      "dialog.search",
      { "aria-label": "Search", onclick: (/** @type {Event} */ event) => this.clicked(event) },
      h("div.search-box", null, this.input, this.list, this.status),
    );
  }

  open() {
    if (this.dialog.open) return;
    this.entries ??= entriesOf(this.model);
    this.dialog.showModal();
    this.input.select();
    this.find();
  }

  find() {
    const found = search(this.entries ?? [], this.input.value);
    this.chosen = 0;
    replace(
      this.list,
      found.slice(0, mostResults).map((entry, at) => this.result(entry, at)),
    );
    const count = found.length;
    this.status.textContent =
      this.input.value.trim() === ""
        ? "Words of a name or a comment; Enter opens, arrows choose."
        : count === 0
          ? "Nothing has all of these words."
          : count > mostResults
            ? `${count} results, of which the first ${mostResults} are shown`
            : `${count} ${count === 1 ? "result" : "results"}`;
    this.mark();
  }

  /**
   * @param {Entry} entry
   * @param {number} at
   */
  result({ title, inside, summary, hash, kind }, at) {
    return h(
      "li",
      { role: "option", id: `result-${at}`, "data-hash": hash, "aria-selected": "false" },
      h("span.result-title", null, title),
      h("span.result-inside", null, inside),
      h("span.tag", null, kind),
      summary !== "" && h("span.result-summary", null, summary),
    );
  }

  mark() {
    const options = [...this.list.children];
    for (const [at, option] of options.entries())
      option.setAttribute("aria-selected", String(at === this.chosen));
    const chosen = options[this.chosen];
    if (chosen === undefined) this.input.removeAttribute("aria-activedescendant");
    else {
      this.input.setAttribute("aria-activedescendant", chosen.id);
      chosen.scrollIntoView({ block: "nearest" });
    }
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 }[event.key];
    const last = this.list.children.length - 1;
    if (step !== undefined) {
      event.preventDefault();
      this.chosen = Math.max(0, Math.min(last, this.chosen + step));
      this.mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.go(this.list.children[this.chosen]);
    }
  }

  /** @param {Event} event */
  clicked({ target }) {
    if (target === this.dialog) this.dialog.close();
    else if (target instanceof Element) this.go(target.closest("[data-hash]") ?? undefined);
  }

  /** @param {Element | undefined} option */
  go(option) {
    const hash = option?.getAttribute("data-hash");
    if (hash === null || hash === undefined) return;
    this.dialog.close();
    location.hash = hash;
  }
}

/**
 * The entries that have all words of a text, those by whose names it is found first.
 *
 * @param {readonly Entry[]} entries
 * @param {string} text
 */
export function search(entries, text) {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length === 0) return entries.slice(0, mostResults);
  /** @type {{ entry: Entry, rank: number }[]} */
  const found = [];
  for (const entry of entries) {
    // What can be called or read about by itself comes before what is a part of it.
    let rank = entry.kind === "field" ? 2 : 0;
    for (const word of words) {
      const at = entry.name.indexOf(word);
      if (at >= 0) rank += at === 0 ? 0 : 1;
      else if (entry.text.includes(word)) rank += 4;
      else {
        rank = -1;
        break;
      }
    }
    if (rank >= 0) found.push({ entry, rank: rank + entry.name.length / 1000 });
  }
  return found.sort((one, other) => one.rank - other.rank).map(({ entry }) => entry);
}

/**
 * @param {Model} model
 * @returns {Entry[]}
 */
function entriesOf({ services, types, text: { call } }) {
  /** @type {Entry[]} */
  const entries = [];
  /** @type {(entry: Omit<Entry, "name" | "text">, more: string) => void} */
  const push = (entry, more) =>
    void entries.push({
      ...entry,
      name: entry.title.toLowerCase(),
      text: `${entry.inside} ${more}`.toLowerCase(),
    });
  for (const { name, rpcs } of services) {
    for (const rpc of rpcs) {
      const routes = rpc.routes.map(({ verb, path }) => `${verb} ${path}`).join(" ");
      const hash = hashOf(call ? "call" : "rpc", rpc.id);
      const summary = summaryOf(rpc.comment);
      push(
        { title: rpc.name, inside: name, summary, hash, kind: kindText(rpc.kind) },
        `${rpc.comment ?? ""} ${routes}`,
      );
    }
  }
  for (const type of types.values()) {
    const hash = hashOf("type", type.name);
    const short = shortName(type.name);
    push(
      { title: short, inside: type.name, summary: summaryOf(type.comment), hash, kind: type.kind },
      type.comment ?? "",
    );
    if (type.kind === "enum") continue;
    for (const { name, proto = "", comment } of type.fields) {
      push(
        { title: name, inside: short, summary: summaryOf(comment), hash, kind: "field" },
        `${proto} ${comment ?? ""}`,
      );
    }
  }
  return entries;
}
