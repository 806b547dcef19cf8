/** Inputs of single values. */
import { h, newId } from "./dom.js";
import { enumNames, inputText, scalarOf, scalarProblem } from "./form-values.js";
import { parseJson, writeJson } from "./json-text.js";
import { formOf, unwrapped } from "./well-known.js";

/** @import { Slot } from "./form-values.js" */
/** @import { Json } from "./json-text.js" */
/** @import { Model } from "./model.js" */

/**
 * What an input is for.
 *
 * @typedef {object} InputInit
 * @property {Model} model
 * @property {string} type
 * @property {Slot} slot
 * @property {string} id of the element that its label is for
 * @property {string} label
 * @property {boolean} mayUnset whether an empty input means that there is no value
 * @property {boolean} presence whether unset differs from the default
 */

/**
 * The input of a value that is no message.
 *
 * @param {InputInit} init
 * @returns {HTMLElement}
 */
export function valueInput(init) {
  switch (formOf(init.model, init.type)) {
    case "enum":
      return enumInput(init);
    case "timestamp":
      return timestampInput(init);
    case "duration":
      return textInput(init, { placeholder: "90s, 5m, 1.5h", read: durationOf });
    case "mask":
      return textInput(init, {
        placeholder: "title,publication.year",
        read: (text) => ({ kind: "text", text: text.replaceAll(/\s/g, "") }),
      });
    case "json":
      return jsonInput(init);
    default:
      return scalarInput(init);
  }
}

/** @param {InputInit} init */
function scalarInput(init) {
  const scalar = unwrapped(init.type);
  if (scalar === "bool") return boolInput(init);
  if (scalar === "bytes") return bytesInput(init);
  if (scalar === "string") return stringInput(init);
  const placeholder = init.presence ? "unset" : "0";
  return textInput(init, {
    placeholder,
    read: (text) => scalarOf(scalar, text),
    problem: (text) => scalarProblem(scalar, text),
    isNumber: true,
  });
}

/** @param {InputInit} init */
function stringInput({ slot, id, mayUnset, presence }) {
  /** @type {HTMLTextAreaElement} */
  const area = h("textarea.one-line", {
    id,
    rows: 1,
    spellcheck: "false",
    placeholder: presence ? "unset" : null,
    oninput: () =>
      slot.set(area.value === "" && mayUnset && !presence ? undefined : { kind: "text", text: area.value }),
  });
  area.value = inputText(slot.get());
  if (!presence) return area;
  const clear = h(
    "button.quiet",
    {
      type: "button",
      onclick: () => {
        area.value = "";
        slot.set(undefined);
      },
    },
    "Unset",
  );
  return h("div.beside", null, area, clear);
}

/**
 * @param {InputInit} init
 * @param {{ placeholder: string, read: (text: string) => Json, problem?: (text: string) => string | undefined, isNumber?: boolean }} how
 */
function textInput({ slot, id, mayUnset }, { placeholder, read, problem, isNumber = false }) {
  const note = h("p.problem", { id: newId(), hidden: true });
  const input = h("input", {
    id,
    type: "text",
    inputmode: isNumber ? "decimal" : null,
    class: isNumber ? "mono" : null,
    autocomplete: "off",
    spellcheck: "false",
    placeholder,
    oninput() {
      slot.set(input.value.trim() === "" && mayUnset ? undefined : read(input.value));
      check();
    },
  });
  const check = () => {
    const wrong = problem?.(input.value);
    note.hidden = wrong === undefined;
    note.textContent = wrong ?? "";
    if (wrong === undefined) input.removeAttribute("aria-describedby");
    else input.setAttribute("aria-describedby", note.id);
    input.toggleAttribute("aria-invalid", wrong !== undefined);
  };
  input.value = inputText(slot.get());
  check();
  return h("div", null, input, note);
}

/** @param {InputInit} init */
function boolInput({ slot, id, mayUnset, presence }) {
  if (!presence) {
    /** @type {HTMLInputElement} */
    const box = h("input", {
      id,
      type: "checkbox",
      onchange: () =>
        slot.set(!box.checked && mayUnset ? undefined : { kind: "literal", text: String(box.checked) }),
    });
    box.checked = inputText(slot.get()) === "true";
    return box;
  }
  return choice(
    id,
    [
      ["", "unset"],
      ["true", "true"],
      ["false", "false"],
    ],
    inputText(slot.get()),
    (text) => slot.set(text === "" ? undefined : { kind: "literal", text }),
  );
}

/** @param {InputInit} init */
function enumInput({ model, type, slot, id, mayUnset }) {
  const names = enumNames(model, type);
  const values = model.types.get(type);
  const current = slot.get();
  const text = inputText(current);
  const byNumber =
    values?.kind === "enum" ? values.values.find(({ number }) => String(number) === text)?.name : undefined;
  const now = byNumber ?? text;
  /** @type {[string, string][]} */
  const options = names.map((name) => [name, name]);
  if (mayUnset) options.unshift(["", "unset"]);
  if (now !== "" && !names.includes(now)) options.push([now, now]);
  return choice(id, options, now, (name) => slot.set(name === "" ? undefined : { kind: "text", text: name }));
}

/**
 * @param {string} id
 * @param {readonly [string, string][]} options
 * @param {string} current
 * @param {(value: string) => void} choose
 */
function choice(id, options, current, choose) {
  /** @type {HTMLSelectElement} */
  const select = h(
    "select",
    { id, onchange: () => choose(select.value) },
    options.map(([value, text]) => h("option", { value, selected: value === current }, text)),
  );
  return select;
}

/** @param {InputInit} init */
function timestampInput({ slot, id, label, mayUnset }) {
  const text = h("input", {
    id,
    type: "text",
    class: "mono",
    placeholder: "2026-01-31T12:00:00Z",
    autocomplete: "off",
    oninput() {
      slot.set(text.value.trim() === "" && mayUnset ? undefined : { kind: "text", text: text.value.trim() });
      picker.value = pickerText(text.value);
    },
  });
  const picker = h("input.picker", {
    type: "datetime-local",
    step: 1,
    "aria-label": `${label}, chosen (UTC)`,
    oninput() {
      if (picker.value === "") return;
      text.value = `${picker.value.length === 16 ? `${picker.value}:00` : picker.value}Z`;
      slot.set({ kind: "text", text: text.value });
    },
  });
  const now = h(
    "button",
    {
      type: "button",
      onclick() {
        text.value = new Date().toISOString();
        picker.value = pickerText(text.value);
        slot.set({ kind: "text", text: text.value });
      },
    },
    "Now",
  );
  text.value = inputText(slot.get());
  picker.value = pickerText(text.value);
  return h("div.beside", null, text, picker, now);
}

/** @param {string} text of RFC 3339 */
function pickerText(text) {
  const time = Date.parse(text.trim());
  return Number.isNaN(time) ? "" : new Date(time).toISOString().slice(0, 19);
}

const units = /** @type {Record<string, number>} */ ({ ms: 0.001, s: 1, m: 60, min: 60, h: 3600, d: 86_400 });

/**
 * A duration in JSON, of what people write.
 *
 * @param {string} text
 * @returns {Json}
 */
export function durationOf(text) {
  const trimmed = text.trim();
  const parts = /^(-?\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?$/.exec(trimmed);
  if (parts === null || parts[2] === "s") return { kind: "text", text: trimmed };
  const seconds = Number(parts[1]) * (units[parts[2] ?? "s"] ?? 1);
  return { kind: "text", text: `${Number(seconds.toFixed(9))}s` };
}

/** @param {InputInit} init */
function jsonInput({ slot, id, mayUnset }) {
  const note = h("p.problem", { id: newId(), hidden: true });
  const area = h("textarea.mono", {
    id,
    rows: 3,
    spellcheck: "false",
    placeholder: "JSON",
    "aria-describedby": note.id,
    oninput() {
      try {
        slot.set(area.value.trim() === "" && mayUnset ? undefined : parseJson(area.value));
        note.hidden = true;
      } catch (error) {
        note.hidden = false;
        note.textContent = error instanceof Error ? error.message : "";
      }
    },
  });
  const value = slot.get();
  area.value = value === undefined ? "" : writeJson(value, true);
  return h("div", null, area, note);
}

/** @param {InputInit} init */
function bytesInput({ slot, id, label, mayUnset }) {
  const note = h("p.hint", { role: "status" });
  const area = h("textarea.mono", { id, rows: 2, spellcheck: "false", oninput: read });
  const mode = h(
    "select",
    { "aria-label": `${label}, entered as`, onchange: show },
    ["text", "base64"].map((name) => h("option", { value: name }, name)),
  );
  const file = h("input", {
    type: "file",
    "aria-label": `${label}, from a file`,
    async onchange() {
      const [first] = file.files ?? [];
      if (first === undefined) return;
      set(await base64Of(first));
      mode.value = "base64";
      show();
    },
  });
  /** @param {string} base64 */
  function set(base64) {
    slot.set(base64 === "" && mayUnset ? undefined : { kind: "text", text: base64 });
    const count = Math.floor((base64.replace(/=+$/, "").length * 3) / 4);
    note.textContent = count === 0 ? "" : `${count} bytes`;
  }
  function read() {
    set(mode.value === "base64" ? area.value.trim() : base64OfBytes(new TextEncoder().encode(area.value)));
  }
  function show() {
    const base64 = inputText(slot.get());
    const text = mode.value === "text" ? textOfBase64(base64) : base64;
    if (text === undefined) mode.value = "base64";
    area.value = text ?? base64;
  }
  mode.value = textOfBase64(inputText(slot.get())) === undefined ? "base64" : "text";
  show();
  return h("div", null, area, h("div.beside", null, mode, file), note);
}

/** @param {Blob} file */
function base64Of(file) {
  return new Promise((/** @type {(text: string) => void} */ resolve) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => {
      const url = typeof reader.result === "string" ? reader.result : "";
      resolve(url.slice(url.indexOf(",") + 1));
    });
    reader.readAsDataURL(file);
  });
}

/** @param {Uint8Array} bytes */
function base64OfBytes(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * The text of bytes; undefined where they are no UTF-8.
 *
 * @param {string} base64
 */
export function textOfBase64(base64) {
  try {
    const binary = atob(base64.replaceAll("-", "+").replaceAll("_", "/"));
    return new TextDecoder("utf-8", { fatal: true }).decode(
      Uint8Array.from(binary, (one) => one.charCodeAt(0)),
    );
  } catch {
    return undefined;
  }
}
