/** Headers of a call, in rows. */
import { h, iconButton, replace } from "./dom.js";
import { isSecret } from "./secrets.js";

/** @import { Header } from "./calls.js" */

const usual = [
  "authorization",
  "accept-language",
  "idempotency-key",
  "if-match",
  "traceparent",
  "x-api-key",
  "x-request-id",
];

/**
 * @param {Header[]} headers changed in place
 * @param {() => void} changed
 */
export function headerRows(headers, changed) {
  const rows = h("ul.items");
  const show = () => {
    rows.hidden = headers.length === 0;
    replace(
      rows,
      headers.map((header, at) => row(header, at)),
    );
  };
  /**
   * @param {Header} header
   * @param {number} at
   */
  const row = (header, at) => {
    const label = `Header ${at + 1}`;
    const value = h("input.mono", {
      "aria-label": `${label}, value`,
      autocomplete: "off",
      spellcheck: "false",
      oninput() {
        header[1] = value.value;
        changed();
      },
    });
    const mask = () => value.setAttribute("type", isSecret(header[0]) ? "password" : "text");
    const name = h("input.mono", {
      type: "text",
      "aria-label": `${label}, name`,
      placeholder: "name",
      list: "header-names",
      autocomplete: "off",
      spellcheck: "false",
      oninput() {
        header[0] = name.value.trim();
        mask();
        changed();
      },
    });
    name.value = header[0];
    value.value = header[1];
    mask();
    return h(
      "li.entry",
      null,
      name,
      h("div.item-value", null, value),
      iconButton("close", `Remove header ${at + 1}`, () => {
        headers.splice(at, 1);
        changed();
        show();
      }),
    );
  };
  show();
  const addRow = h(
    "button",
    {
      type: "button",
      onclick() {
        headers.push(["", ""]);
        show();
        /** @type {HTMLElement | null | undefined} */ (
          rows.lastElementChild?.querySelector("input")
        )?.focus();
      },
    },
    "Add a header",
  );
  const names = h(
    "datalist",
    { id: "header-names" },
    usual.map((name) => h("option", { value: name })),
  );
  return h("div.header-rows", null, rows, addRow, names);
}
