/** The messages of a stream: the last of them, in a list that draws only what is seen. */
import { h, icon, replace } from "./dom.js";
import { indented } from "./json-text.js";
import { jsonNodes } from "./json-nodes.js";

const mostMessages = 1000;
const mostLength = 4 * 1024 * 1024;
const rowHeight = 28;
/** How often the list is drawn at most, in milliseconds: no reader sees more. */
const drawEveryMs = 100;

/** @typedef {{ number: number, text: string, at: number, sent: boolean }} Entry */

export class MessageList {
  constructor() {
    /** @type {Entry[]} */
    this.entries = [];
    /** How many of the entries in front are gone: they are removed now and then, not one by one. */
    this.gone = 0;
    this.length = 0;
    /** How many of the kept entries were sent from here. */
    this.keptSent = 0;
    this.received = 0;
    this.bytes = 0;
    this.paused = false;
    /** @type {readonly Entry[] | undefined} */
    this.frozen = undefined;
    this.isDue = false;
    this.drawnAt = -drawEveryMs;
    /** Height of all rows when they were last drawn. */
    this.height = 0;
    this.rate = 0;
    this.rateAt = performance.now();
    this.rateCount = 0;
    /** @type {Entry | undefined} */
    this.chosen = undefined;
    this.startedAt = performance.now();
    this.spacer = h("div.spacer");
    this.rows = h("ul.stream-rows", { role: "list" });
    this.scroller = h(
      "div.stream-scroll",
      { tabindex: "0", role: "region", "aria-label": "Messages", onscroll: () => this.draw() },
      this.spacer,
      this.rows,
    );
    this.totals = h("p.hint.totals");
    this.filter = h("input", {
      type: "search",
      placeholder: "Search messages",
      "aria-label": "Search messages",
      oninput: () => this.draw(),
    });
    this.pauseButton = h("button", {
      type: "button",
      "aria-pressed": "false",
      onclick: () => this.pause(!this.paused),
    });
    this.detail = h("div.stream-detail", { "aria-live": "polite" });
    this.element = h(
      "div.stream",
      null,
      h("div.stream-bar", null, this.filter, this.pauseButton, this.totals),
      this.scroller,
      this.detail,
    );
    this.pause(false);
  }

  /**
   * Adds a message.
   *
   * @param {string} text
   * @param {boolean} [sent] whether it was sent from here
   */
  add(text, sent = false) {
    if (sent) this.keptSent++;
    else {
      this.received++;
      this.bytes += text.length;
    }
    this.entries.push({ number: this.received, text, at: performance.now() - this.startedAt, sent });
    this.length += text.length;
    while (
      this.entries.length - this.gone > mostMessages ||
      (this.length > mostLength && this.entries.length - this.gone > 1)
    ) {
      const oldest = this.entries[this.gone++];
      this.length -= oldest?.text.length ?? 0;
      if (oldest?.sent === true) this.keptSent--;
    }
    if (this.gone > mostMessages) {
      this.entries.splice(0, this.gone);
      this.gone = 0;
    }
    this.soon();
  }

  /** The messages that are kept. */
  kept() {
    return this.entries.slice(this.gone);
  }

  /** @param {boolean} isPaused */
  pause(isPaused) {
    this.paused = isPaused;
    this.frozen = isPaused ? this.kept() : undefined;
    this.pauseButton.setAttribute("aria-pressed", String(isPaused));
    replace(this.pauseButton, icon(isPaused ? "play" : "pause"), isPaused ? "Go on" : "Pause");
    this.soon();
  }

  /** Draws with one of the next frames; a tab that is hidden draws nothing. */
  soon() {
    if (this.isDue) return;
    this.isDue = true;
    const frame = () =>
      requestAnimationFrame(() => {
        this.isDue = false;
        this.draw();
      });
    const waitMs = this.drawnAt + drawEveryMs - performance.now();
    if (waitMs > 0) setTimeout(frame, waitMs);
    else frame();
  }

  draw() {
    const now = performance.now();
    this.drawnAt = now;
    if (now - this.rateAt >= 1000) {
      this.rate = ((this.received - this.rateCount) * 1000) / (now - this.rateAt);
      this.rateAt = now;
      this.rateCount = this.received;
    }
    const all = this.frozen ?? this.kept();
    const word = this.filter.value.toLowerCase();
    const shown = word === "" ? all : all.filter(({ text }) => text.toLowerCase().includes(word));
    const dropped = this.received - (this.entries.length - this.gone - this.keptSent);
    this.totals.textContent = [
      `${this.received} ${this.received === 1 ? "message" : "messages"}`,
      bytesText(this.bytes),
      `${Math.round(this.rate)}/s`,
      ...(dropped > 0 ? [`${dropped} older ones are gone`] : []),
      ...(word === "" ? [] : [`${shown.length} found`]),
    ].join(" · ");
    const height = shown.length * rowHeight;
    const { scrollTop, clientHeight } = this.scroller;
    const wasAtEnd = scrollTop + clientHeight >= this.height - rowHeight;
    this.height = height;
    this.spacer.style.height = `${height}px`;
    this.scroller.style.height = `${Math.max(height, 4 * rowHeight)}px`;
    if (wasAtEnd && !this.paused) this.scroller.scrollTop = height;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / rowHeight) - 4);
    const last = Math.min(shown.length, first + Math.ceil(clientHeight / rowHeight) + 8);
    this.rows.style.transform = `translateY(${first * rowHeight}px)`;
    replace(
      this.rows,
      shown.slice(first, last).map((entry) => this.row(entry)),
    );
  }

  /** @param {Entry} entry */
  row(entry) {
    const { number, text, at, sent } = entry;
    return h(
      "li",
      null,
      h(
        "button.stream-row",
        { type: "button", "aria-pressed": String(entry === this.chosen), onclick: () => this.choose(entry) },
        h("span.stream-number", null, sent ? "sent" : `${number}`),
        h("span.stream-time", null, `${(at / 1000).toFixed(2)} s`),
        h("span.stream-text", null, text.length > 300 ? `${text.slice(0, 300)}…` : text),
      ),
    );
  }

  /** @param {Entry} entry */
  choose(entry) {
    this.chosen = entry === this.chosen ? undefined : entry;
    replace(
      this.detail,
      this.chosen &&
        h("pre", { tabindex: "0", "aria-label": "Message" }, jsonNodes(indented(this.chosen.text))),
    );
    this.draw();
  }
}

/** @param {number} count */
export function bytesText(count) {
  if (count < 1024) return `${count} B`;
  return count < 1_048_576 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1_048_576).toFixed(1)} MiB`;
}
