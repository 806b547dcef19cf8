/** The commands for a call, of which one is shown. */
import { h, icon, newId, replace } from "./dom.js";
import { snippets } from "./snippets.js";

/** @import { CallInit } from "./calls.js" */
/** @import { App } from "./console.js" */

let chosen = "curl";

/**
 * @param {App} app
 * @param {CallInit} call
 */
export function snippetTabs({ model, root, base }, call) {
  const { rpc } = call;
  const all = snippets({
    call,
    origin: location.origin,
    contract: `${base}/contract.binpb`,
    output: rpc.service.file,
    inputFile: model.types.get(rpc.input)?.file ?? "",
    outputFile: model.types.get(rpc.output)?.file ?? "",
  });
  void root;
  const panel = h("div.snippet", { id: newId(), role: "tabpanel" });
  const tabs = all.map(({ name, text }) =>
    h(
      "button",
      {
        type: "button",
        role: "tab",
        id: newId(),
        "aria-controls": panel.id,
        onclick: () => show(name, text),
        onkeydown: move,
      },
      name,
    ),
  );
  /**
   * @param {string} name
   * @param {string} text
   */
  function show(name, text) {
    chosen = name;
    for (const tab of tabs) {
      const isShown = tab.textContent === name;
      tab.setAttribute("aria-selected", String(isShown));
      tab.tabIndex = isShown ? 0 : -1;
      if (isShown) panel.setAttribute("aria-labelledby", tab.id);
    }
    const copy = h(
      "button.quiet",
      {
        type: "button",
        onclick: () =>
          void navigator.clipboard.writeText(text).then(() => replace(copy, icon("copy"), "Copied")),
      },
      icon("copy"),
      "Copy",
    );
    replace(panel, copy, h("pre", { tabindex: "0", "aria-label": name }, text));
  }
  /** @param {KeyboardEvent} event */
  function move({ key, target }) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step === undefined) return;
    const at = (tabs.findIndex((tab) => tab === target) + step + tabs.length) % tabs.length;
    tabs[at]?.click();
    tabs[at]?.focus();
  }
  const first = all.find(({ name }) => name === chosen) ?? all[0];
  if (first !== undefined) show(first.name, first.text);
  return h("div", null, h("div.snippet-tabs", { role: "tablist", "aria-label": "Commands" }, tabs), panel);
}
