/** The answer of a call as it comes. */
import { codeNames } from "./codes.js";
import { h, icon, replace } from "./dom.js";
import { jsonNodes } from "./json-nodes.js";
import { indented } from "./json-text.js";
import { bytesText, MessageList } from "./message-list.js";

/** @import { CallEvents, Header, Outcome } from "./calls.js" */

/** Of longer answers the beginning is shown, in bytes. */
const mostShown = 256 * 1024;

/**
 * What is left of a call when it has ended.
 *
 * @typedef {object} Ended
 * @property {Outcome} outcome
 * @property {string} status
 * @property {readonly Header[]} headers
 * @property {number} ms
 * @property {string} reply
 * @property {readonly string[]} messages
 */

export class Answer {
  /**
   * @param {boolean} isStream
   * @param {(ended: Ended) => void} ended
   */
  constructor(isStream, ended) {
    this.ended = ended;
    this.startedAt = performance.now();
    /** @type {number | undefined} */
    this.firstAt = undefined;
    this.status = "";
    /** @type {readonly Header[]} */
    this.headers = [];
    this.reply = "";
    /** @type {Promise<void>} */
    this.shown = Promise.resolve();
    this.isStream = isStream;
    this.list = new MessageList();
    this.line = h(
      "div.status-line",
      { role: "status" },
      h("span.spinner", { "aria-hidden": "true" }),
      "Waiting for the answer…",
    );
    this.error = h("div");
    /** Violations of fields that the form does not have. */
    this.violations = h("div");
    this.body = h("div.body");
    this.fields = h("div.metadata");
    this.element = h(
      "section.answer",
      { "aria-label": "Answer" },
      this.line,
      this.error,
      this.violations,
      isStream ? this.list.element : this.body,
      this.fields,
    );
    /** @type {CallEvents} */
    this.events = {
      head: (status, headers) => {
        this.first();
        this.status = status;
        this.headers = headers;
        this.showFields([]);
      },
      message: (text) => {
        this.first();
        if (isStream) this.list.add(text);
        else {
          this.reply = text;
          this.showText(text, "application/json", text.length);
        }
      },
      body: (blob, type) => {
        this.shown = this.showBody(blob, type);
      },
      end: (outcome) => void this.shown.then(() => this.end(outcome)),
      pause: (isPaused) => {
        if (isPaused) replace(this.line, "The server asks to send no more for now…");
        else replace(this.line, h("span.spinner", { "aria-hidden": "true" }), "The stream goes on…");
      },
    };
  }

  first() {
    if (this.firstAt !== undefined) return;
    this.firstAt = performance.now();
    if (this.isStream) replace(this.line, h("span.spinner", { "aria-hidden": "true" }), "Receiving…");
  }

  /** @param {Outcome} outcome */
  end(outcome) {
    const now = performance.now();
    const { code, message, details, trailers } = outcome;
    const name = codeNames[code] ?? `code ${code}`;
    const times = [
      this.firstAt !== undefined && this.firstAt !== now
        ? `first byte ${msText(this.firstAt - this.startedAt)}`
        : undefined,
      `end ${msText(now - this.startedAt)}`,
    ];
    replace(
      this.line,
      h("span", { class: code === 0 ? "code ok" : "code bad" }, name),
      h("span.http", null, this.status),
      h("span.hint", null, times.filter((one) => one !== undefined).join(" · ")),
    );
    replace(
      this.error,
      code !== 0 &&
        h(
          "div.error-box",
          null,
          message !== "" && h("p.error-message", null, message),
          details !== undefined && h("pre", { tabindex: "0", "aria-label": "Details" }, jsonNodes(details)),
        ),
    );
    this.showFields(trailers);
    this.ended({
      outcome,
      status: this.status,
      headers: this.headers,
      ms: now - this.startedAt,
      reply: this.reply,
      messages: this.list.kept().map(({ text, sent }) => (sent ? `> ${text}` : text)),
    });
  }

  /** @param {readonly Header[]} trailers */
  showFields(trailers) {
    replace(this.fields, fieldList("Headers", this.headers), fieldList("Trailers", trailers));
  }

  /**
   * @param {Blob} blob
   * @param {string} type
   */
  async showBody(blob, type) {
    this.first();
    const isText = /json|text|xml|yaml|javascript|^$/.test(type);
    const text = isText ? await blob.slice(0, mostShown).text() : "";
    this.reply = blob.size > mostShown || !isText ? text.slice(0, mostShown) : text;
    this.showText(text, type, blob.size, blob);
  }

  /**
   * @param {string} text the answer, or its beginning
   * @param {string} type
   * @param {number} size of the whole answer
   * @param {Blob} [blob] the whole answer
   */
  showText(text, type, size, blob = new Blob([text])) {
    const isWhole = size <= mostShown;
    const shown = type.includes("json") ? indented(text) : text;
    const pre = h(
      "pre",
      { tabindex: "0", "aria-label": "Body" },
      type.includes("json") ? jsonNodes(shown) : shown,
    );
    const copy = h(
      "button.quiet",
      {
        type: "button",
        onclick: () =>
          void navigator.clipboard.writeText(text).then(() => (copy.lastChild ?? copy).replaceWith("Copied")),
      },
      icon("copy"),
      "Copy",
    );
    replace(
      this.body,
      h(
        "div.body-bar",
        null,
        h("span.hint", null, [type, bytesText(size)].filter((one) => one !== "").join(" · ")),
        isWhole && text !== "" && copy,
        size > 0 &&
          h(
            "button.quiet",
            { type: "button", onclick: () => download(blob, type) },
            icon("download"),
            "Download",
          ),
      ),
      !isWhole && h("p.note", null, `The first ${bytesText(mostShown)} of ${bytesText(size)} are shown.`),
      size === 0 ? h("p.hint", null, "The answer has no body.") : text !== "" && pre,
    );
  }
}

/**
 * @param {string} title
 * @param {readonly Header[]} headers
 */
export function fieldList(title, headers) {
  if (headers.length === 0) return null;
  return h(
    "details",
    { open: title === "Trailers" },
    h("summary", null, `${title} (${headers.length})`),
    h(
      "dl.fields-list",
      null,
      headers.map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
    ),
  );
}

/**
 * Saves a file.
 *
 * @param {Blob} blob
 * @param {string} type
 * @param {string} [name]
 */
export function download(blob, type, name) {
  const extension = type.includes("json")
    ? "json"
    : type.startsWith("text/")
      ? "txt"
      : (type.split(/[/;+]/)[1] ?? "bin");
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name ?? `answer.${extension}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** @param {number} ms */
export function msText(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
