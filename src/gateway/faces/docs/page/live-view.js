/** The load of the server as it changes: calls by rpc and protocol, and connections. */
import { codeNames } from "./codes.js";
import { h, replace } from "./dom.js";
import { bytesText } from "./message-list.js";
import { hashOf } from "./place.js";
import { mostPoints, numberText, plot, plotKey } from "./plot.js";

/** @import { App, View } from "./console.js" */

/**
 * @typedef {object} Figures of one rpc by one protocol, of one second
 * @property {string} rpc
 * @property {string} protocol
 * @property {number} started
 * @property {number} ended
 * @property {number} open
 * @property {Record<string, number>} failed
 * @property {number} [p50]
 * @property {number} [p90]
 * @property {number} [p99]
 *
 * @typedef {object} Connection
 * @property {string} protocol
 * @property {string} peer
 * @property {boolean} isSecure
 * @property {number} ageMs
 * @property {number} receivedBytes
 * @property {number} sentBytes
 *
 * @typedef {{ at: number, rpcs: Figures[], openConnections: number, connections: Connection[] }} Snapshot
 */

/**
 * @param {App} app
 * @returns {View}
 */
export function liveView(app) {
  const view = new LiveView(app);
  return { title: "Live", element: view.element, close: () => view.close() };
}

class LiveView {
  /** @param {App} app */
  constructor({ base, model }) {
    this.url = `${base}/live`;
    this.model = model;
    /** @type {Map<string, (Figures | undefined)[]>} */
    this.series = new Map();
    /** @type {Snapshot | undefined} */
    this.last = undefined;
    this.count = 0;
    /** @type {EventSource | undefined} */
    this.source = undefined;
    this.state = h("span.tag", { role: "status" }, "connecting");
    this.summary = h("p.hint");
    this.calls = h("div.live-calls");
    this.filter = h("input", {
      type: "search",
      placeholder: "Filter by peer or protocol",
      "aria-label": "Filter connections",
      oninput: () => this.showConnections(),
    });
    this.connections = h("div.scroll", { tabindex: "0", role: "region", "aria-label": "Connections" });
    this.element = h(
      "article.live",
      null,
      h("div.headline", null, h("h1", null, "Live"), this.state),
      this.summary,
      h("section", null, h("h2", null, "Calls of the last five minutes"), this.calls),
      h(
        "section",
        null,
        h("div.pane-head", null, h("h2", null, "Connections"), this.filter),
        this.connections,
      ),
    );
    // A page that is not seen lets the server rest.
    this.seen = () => (document.hidden ? this.stop() : this.open());
    document.addEventListener("visibilitychange", this.seen);
    this.open();
  }

  open() {
    if (this.source !== undefined) return;
    const source = new EventSource(this.url);
    this.source = source;
    source.addEventListener("open", () => this.say("updating"));
    source.addEventListener("message", ({ data }) =>
      this.take(/** @type {Snapshot} */ (JSON.parse(/** @type {string} */ (data)))),
    );
    source.addEventListener("error", () => {
      // A source that is closed was refused: live is for clients of the server's own machine unless an option says more.
      this.say(source.readyState === EventSource.CLOSED ? "not shown to this address" : "connecting again");
    });
  }

  stop() {
    this.source?.close();
    this.source = undefined;
    this.say("asleep");
  }

  close() {
    document.removeEventListener("visibilitychange", this.seen);
    this.stop();
  }

  /** @param {string} text */
  say(text) {
    if (this.state.textContent !== text) this.state.textContent = text;
    this.state.classList.toggle("must", text === "updating");
  }

  /** @param {Snapshot} snapshot */
  take(snapshot) {
    this.last = snapshot;
    this.count++;
    for (const figures of snapshot.rpcs) {
      const key = `${figures.rpc} ${figures.protocol}`;
      if (!this.series.has(key)) this.series.set(key, []);
    }
    for (const [key, values] of this.series) {
      values.push(snapshot.rpcs.find(({ rpc, protocol }) => `${rpc} ${protocol}` === key));
      if (values.length > mostPoints) values.shift();
    }
    this.showCalls();
    this.showConnections();
  }

  showCalls() {
    const { rpcs = [], openConnections = 0 } = this.last ?? {};
    const sum = (/** @type {(one: Figures) => number} */ of) => rpcs.reduce((all, one) => all + of(one), 0);
    this.summary.textContent = `${sum(({ ended }) => ended)} calls in the last second, ${sum(failuresOf)} failed, ${sum(({ open }) => open)} under way · ${openConnections} connections`;
    if (this.series.size === 0) {
      replace(
        this.calls,
        h(
          "p.hint",
          null,
          "No call since this page looks. Calls that are refused before they reach their rpc are not counted here.",
        ),
      );
      return;
    }
    replace(
      this.calls,
      [...this.series].map(([key, values]) => this.card(key, values)),
    );
  }

  /**
   * @param {string} key
   * @param {readonly (Figures | undefined)[]} values
   */
  card(key, values) {
    const [rpc = "", protocol = ""] = key.split(" ");
    const all = values.filter((one) => one !== undefined);
    const total = all.reduce((sum, { ended }) => sum + ended, 0);
    const failed = all.reduce((sum, one) => sum + failuresOf(one), 0);
    const last = all.findLast(({ p50 }) => p50 !== undefined);
    /** @type {(of: (one: Figures) => number | undefined) => (number | undefined)[]} */
    const line = (of) => values.map((one) => (one === undefined ? undefined : of(one)));
    /** @type {Record<string, number>} */
    const codes = {};
    for (const one of all)
      for (const [code, count] of Object.entries(one.failed)) codes[code] = (codes[code] ?? 0) + count;
    const id = rpc.slice(rpc.lastIndexOf("/") + 1);
    return h(
      "section.card",
      { "aria-label": `${rpc} by ${protocol}` },
      h(
        "div.card-head",
        null,
        this.model.rpcs.has(rpc) ? h("a", { href: hashOf("rpc", rpc) }, id) : h("span", null, id),
        h("span.tag", null, protocol),
        h("span.hint", null, `${values.at(-1)?.open ?? 0} under way`),
      ),
      h(
        "div.card-plot",
        null,
        h(
          "div.hint.keys",
          null,
          plotKey("calls/s", 0, `${values.at(-1)?.ended ?? 0}`),
          failed > 0 && plotKey("failed/s", 2, `${failuresOf(values.at(-1) ?? { failed: {} })}`),
        ),
        plot("Calls a second, and those that failed", [
          { colour: 0, values: line(({ ended }) => ended) },
          { colour: 2, values: line((one) => failuresOf(one) || undefined) },
        ]),
      ),
      h(
        "div.card-plot",
        null,
        h(
          "div.hint.keys",
          null,
          plotKey("p50", 0, msOf(last?.p50)),
          plotKey("p90", 1, msOf(last?.p90)),
          plotKey("p99", 2, msOf(last?.p99)),
        ),
        plot("Time of calls in milliseconds: p50, p90 and p99", [
          { colour: 0, values: line(({ p50 }) => p50) },
          { colour: 1, values: line(({ p90 }) => p90) },
          { colour: 2, values: line(({ p99 }) => p99) },
        ]),
      ),
      h(
        "p.hint",
        null,
        `${total} ended`,
        failed > 0 && [
          ", ",
          h("span.bad", null, `${failed} failed`),
          ": ",
          Object.entries(codes)
            .map(([code, count]) => `${codeNames[Number(code)] ?? code} ${count}`)
            .join(", "),
        ],
      ),
    );
  }

  showConnections() {
    const word = this.filter.value.toLowerCase();
    const { connections = [], openConnections = 0 } = this.last ?? {};
    const shown = connections.filter(({ peer, protocol }) =>
      `${peer} ${protocol}`.toLowerCase().includes(word),
    );
    replace(
      this.connections,
      h(
        "table.connections",
        null,
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            ["Protocol", "Peer", "Age", "Received", "Sent"].map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          null,
          shown.map(({ protocol, peer, isSecure, ageMs, receivedBytes, sentBytes }) =>
            h(
              "tr",
              null,
              [
                `${protocol === "" ? "unknown" : protocol}${isSecure ? " over TLS" : ""}`,
                peer,
                ageText(ageMs),
                bytesText(receivedBytes),
                bytesText(sentBytes),
              ].map((text) => h("td", null, text)),
            ),
          ),
        ),
      ),
      openConnections > connections.length &&
        h("p.hint", null, `The oldest ${connections.length} of ${openConnections} are shown.`),
    );
  }
}

/** @param {Pick<Figures, "failed">} figures */
function failuresOf({ failed }) {
  return Object.values(failed).reduce((sum, count) => sum + count, 0);
}

/** @param {number | undefined} ms */
function msOf(ms) {
  return ms === undefined ? "–" : ms >= 1000 ? `${numberText(ms / 1000)} s` : `${numberText(ms)} ms`;
}

/** @param {number} ms */
function ageText(ms) {
  const seconds = Math.round(ms / 1000);
  return seconds < 60
    ? `${seconds} s`
    : seconds < 3600
      ? `${Math.floor(seconds / 60)} min`
      : `${(seconds / 3600).toFixed(1)} h`;
}
