/** Requests that were made, and those with names. */
import { download, fieldList, msText } from "./answer.js";
import { codeNames } from "./codes.js";
import { h, replace } from "./dom.js";
import { handOverKey, keepSecrets, keepsSecrets } from "./history-store.js";
import { jsonNodes } from "./json-nodes.js";
import { indented } from "./json-text.js";
import { hashOf } from "./place.js";
import { queryOf } from "./request-state.js";

/** @import { App, View } from "./console.js" */
/** @import { Made, Saved } from "./history-store.js" */

/**
 * @param {App} app
 * @returns {View}
 */
export function historyView(app) {
  const view = new HistoryView(app);
  void view.show();
  return { title: "History", element: view.element };
}

class HistoryView {
  /** @param {App} app */
  constructor({ store, model }) {
    this.store = store;
    this.model = model;
    this.saved = h("div");
    this.made = h("div");
    /** @type {HTMLInputElement} */
    const keep = h("input", {
      type: "checkbox",
      onchange: () => {
        keepSecrets(keep.checked);
      },
    });
    keep.checked = keepsSecrets();
    const file = h("input.hidden", {
      type: "file",
      accept: "application/json",
      "aria-label": "File with saved requests",
      tabindex: "-1",
      onchange: () => void this.read(file.files?.[0]),
    });
    this.problem = h("p.problem", { role: "alert" });
    this.element = h(
      "article.history",
      null,
      h("h1", null, "History"),
      h(
        "section",
        null,
        h(
          "div.pane-head",
          null,
          h("h2", null, "Saved requests"),
          h("button", { type: "button", onclick: () => void this.write() }, "Export"),
          h("button", { type: "button", onclick: () => file.click() }, "Import"),
          file,
        ),
        this.problem,
        this.saved,
      ),
      h(
        "section",
        null,
        h(
          "div.pane-head",
          null,
          h("h2", null, "The last 100 calls"),
          h(
            "button",
            { type: "button", onclick: () => void this.store.clear().then(() => this.show()) },
            "Clear",
          ),
        ),
        this.made,
      ),
      h(
        "label.check",
        null,
        keep,
        "Keep values of authorization, cookie and of names like key, token and secret in this browser. Without it they are kept for this tab alone.",
      ),
    );
  }

  async show() {
    const [saved, made] = await Promise.all([this.store.saved(), this.store.made()]);
    replace(
      this.saved,
      saved.length === 0
        ? h("p.hint", null, "None yet. Save a call of the list below under a name.")
        : h(
            "ul.calls",
            null,
            saved.map((one) => this.savedRow(one)),
          ),
    );
    replace(
      this.made,
      made.length === 0
        ? h("p.hint", null, "No calls yet.")
        : h(
            "ul.calls",
            null,
            made.map((one) => this.madeRow(one)),
          ),
    );
  }

  /** @param {Saved} saved */
  savedRow({ name, rpc, state }) {
    return h(
      "li",
      null,
      h("a", { href: this.linkOf(rpc, state), onclick: () => handOver(state) }, name),
      h("span.hint", null, rpc),
      h(
        "button.quiet",
        {
          type: "button",
          "aria-label": `Remove ${name}`,
          onclick: () => void this.store.remove(name).then(() => this.show()),
        },
        "Remove",
      ),
    );
  }

  /** @param {Made} made */
  madeRow(made) {
    const { rpc, state, outcome, ms, at, status } = made;
    const code = outcome.code;
    const body = h("div.made");
    const details = h("details", null, h("summary", null, "Answer"), body);
    details.addEventListener("toggle", () => details.open && replace(body, madeParts(made)));
    return h(
      "li",
      null,
      h(
        "a",
        {
          href: this.linkOf(rpc, state),
          onclick: () => handOver(state),
        },
        rpc.slice(rpc.lastIndexOf("/") + 1),
      ),
      h("span", { class: code === 0 ? "code ok" : "code bad" }, codeNames[code] ?? `${code}`),
      h(
        "span.hint",
        null,
        [status, msText(ms), new Date(at).toLocaleString()].filter((one) => one !== "").join(" · "),
      ),
      h("button.quiet", { type: "button", onclick: () => void this.saveAs(made) }, "Save"),
      details,
    );
  }

  /**
   * @param {string} rpc
   * @param {import("./request-state.js").RequestState} state
   */
  linkOf(rpc, state) {
    return hashOf("call", rpc, queryOf(state) ?? {});
  }

  /** @param {Made} made */
  async saveAs({ rpc, state }) {
    // A dialog of the page in place of one of the browser, which some embedders do not have.
    const name = await askName(rpc.slice(rpc.lastIndexOf("/") + 1));
    if (name === undefined) return;
    await this.store.save({ name, rpc, state });
    await this.show();
  }

  async write() {
    const saved = await this.store.saved();
    const plain = saved.map(({ name, rpc, state }) => ({
      name,
      rpc,
      query: queryOf(state)?.toString() ?? "",
    }));
    download(new Blob([JSON.stringify({ requests: plain }, null, 2)]), "application/json", "requests.json");
  }

  /** @param {File | undefined} file */
  async read(file) {
    if (file === undefined) return;
    try {
      const { stateOf } = await import("./request-state.js");
      const { requests } = /** @type {{ requests: { name: string, rpc: string, query: string }[] }} */ (
        JSON.parse(await file.text())
      );
      for (const { name, rpc, query } of requests) {
        const known = this.model.rpcs.get(rpc);
        const state = known && stateOf(known, new URLSearchParams(query), this.model.text.socket ?? "");
        if (state !== undefined) await this.store.save({ name, rpc, state });
      }
      this.problem.textContent = "";
    } catch {
      this.problem.textContent = `${file.name} has no saved requests.`;
    }
    await this.show();
  }
}

/**
 * Hands headers to the view that is opened: an address has no secrets.
 *
 * @param {import("./request-state.js").RequestState} state
 */
function handOver({ headers }) {
  sessionStorage.setItem(handOverKey, JSON.stringify(headers));
}

/** @param {Made} made */
function madeParts({ state, outcome, responseHeaders, reply, messages }) {
  /** @type {(title: string, text: string) => HTMLElement} */
  const part = (title, text) =>
    h("div", null, h("h3", null, title), h("pre", { tabindex: "0", "aria-label": title }, jsonNodes(text)));
  return [
    part("Request", state.text),
    fieldList("Headers of the request", state.headers),
    outcome.message !== "" && h("p.error-message", null, outcome.message),
    outcome.details !== undefined && part("Details", outcome.details),
    reply !== "" && part("Reply", indented(reply)),
    messages.length > 0 && part(`Messages (${messages.length})`, messages.join("\n")),
    fieldList("Headers", responseHeaders),
    fieldList("Trailers", outcome.trailers),
  ];
}

/**
 * @param {string} suggestion
 * @returns {Promise<string | undefined>}
 */
function askName(suggestion) {
  return new Promise((resolve) => {
    const input = h("input", { type: "text", "aria-label": "Name", required: true });
    input.value = suggestion;
    const dialog = h(
      "dialog.ask",
      {
        "aria-label": "Save the request",
        onclose: () => {
          dialog.remove();
          resolve(
            dialog.returnValue === "save" && input.value.trim() !== "" ? input.value.trim() : undefined,
          );
        },
      },
      h(
        "form",
        { method: "dialog" },
        h("label", null, "Name", input),
        h(
          "div.pane-head",
          null,
          h("button", { value: "cancel", formnovalidate: true }, "Cancel"),
          h("button.primary", { value: "save" }, "Save"),
        ),
      ),
    );
    document.body.append(dialog);
    dialog.showModal();
    input.select();
  });
}
