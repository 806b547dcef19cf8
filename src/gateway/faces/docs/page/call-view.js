/** Calls of an rpc: form, JSON, the answer, snippets. */
import { Answer } from "./answer.js";
import { beginCall } from "./calls.js";
import { handOverKey } from "./history-store.js";
import { inlineNodes } from "./comment-text.js";
import { h, icon, newId, replace } from "./dom.js";
import { Form } from "./form.js";
import { headerRows } from "./header-rows.js";
import { emptyObject, parseTexts, writeJson } from "./json-text.js";
import { sendsMany, summaryOf } from "./model.js";
import { hashOf } from "./place.js";
import { knownWay, queryOf, stateOf, waysOf } from "./request-state.js";
import { restRequest } from "./rest-request.js";
import { pathNodes, verbTag } from "./routes.js";
import { rpcHeader } from "./rpc-view.js";
import { snippetTabs } from "./snippet-tabs.js";

/** @import { CallInit, Header, RunningCall } from "./calls.js" */
/** @import { App, View } from "./console.js" */
/** @import { Json, JsonObject } from "./json-text.js" */
/** @import { Example, MessageType, Rpc } from "./model.js" */
/** @import { Place } from "./place.js" */
/** @import { RequestState } from "./request-state.js" */
/** @import { RestRequest } from "./rest-request.js" */

/**
 * @param {App} app
 * @param {Place} place
 * @returns {View | undefined}
 */
export function callView(app, place) {
  const rpc = app.model.rpcs.get(place.name);
  if (rpc === undefined) return undefined;
  const message = app.model.message(rpc.input) ?? { kind: "message", name: rpc.input, file: "", fields: [] };
  const view = new CallView(app, rpc, message, place.query);
  return { title: rpc.name, element: view.element, close: () => view.close() };
}

class CallView {
  /**
   * @param {App} app
   * @param {Rpc} rpc
   * @param {MessageType} message
   * @param {URLSearchParams} query
   */
  constructor(app, rpc, message, query) {
    this.app = app;
    this.rpc = rpc;
    this.message = message;
    this.socket = app.model.text.socket ?? "";
    const given = stateOf(rpc, query, this.socket);
    /** @type {RequestState} */
    this.state = given ?? { way: knownWay(rpc, "", this.socket), text: "{}", headers: [], timeout: "" };
    /** @type {RunningCall | undefined} */
    this.running = undefined;
    /** @type {Answer | undefined} */
    this.answer = undefined;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.saving = undefined;
    const bound = new Set(
      rpc.routes.flatMap(({ variables }) => variables.map(({ field }) => field.join("."))),
    );
    /** @type {JsonObject} */
    this.json = emptyObject();
    this.form = new Form(app.model, message, bound, () => this.formChanged());

    this.ways = waysOf(rpc, this.socket);
    this.way = h(
      "select",
      { "aria-label": "Protocol and route", onchange: () => this.choose() },
      this.ways.map(({ id, text }) => h("option", { value: id, selected: id === this.state.way }, text)),
    );
    this.send = h("button.primary", {
      type: "button",
      onclick: () => this.press(),
      "aria-keyshortcuts": "Control+Enter",
    });
    this.half = h("button", { type: "button", onclick: () => this.endRequests() }, "End requests");
    this.stop = h(
      "button",
      { type: "button", onclick: () => this.running?.cancel() },
      icon("stop"),
      "Cancel",
    );
    this.preview = h("div.preview");
    this.warnings = h("div.warnings", { role: "status" });
    this.timeout = h("input", {
      type: "text",
      inputmode: "numeric",
      placeholder: "none",
      id: newId(),
      oninput: () => this.timed(),
    });
    this.timeout.value = this.state.timeout;
    this.headerSummary = h("summary");
    this.headers = h("div");
    this.editor = h("textarea.mono.editor", {
      id: newId(),
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      oninput: () => this.edited(),
    });
    this.editorNote = h("p.problem", { role: "status" });
    this.answerPlace = h("div.answer-place");
    this.snippetPlace = h("div");
    this.state.headers.push(...handedOver(this.state.headers));
    this.element = this.layout();
    this.showSend();
    this.showHeaders();
    this.textChanged(true);
    if (given === undefined) void this.begin();
    else if (!sendsMany(rpc.kind)) this.use(given.text);
  }

  layout() {
    const { rpc, state, ways } = this;
    const isStream = sendsMany(rpc.kind);
    const summary = summaryOf(rpc.comment);
    const options = h(
      "details.options",
      { open: state.headers.length > 0 },
      this.headerSummary,
      h(
        "div.options-body",
        null,
        this.headers,
        h(
          "div.deadline",
          null,
          h("label", { for: this.timeout.id }, "Deadline in milliseconds"),
          this.timeout,
        ),
      ),
    );
    const form = h(
      "section.pane",
      { "aria-label": "Form" },
      h("div.pane-head", null, h("h2", null, isStream ? "Message" : "Request"), this.exampleButtons()),
      this.form.element,
    );
    const editor = h(
      "section.pane",
      { "aria-label": "JSON" },
      h(
        "div.pane-head",
        null,
        h(
          "h2",
          null,
          h("label", { for: this.editor.id }, isStream ? "JSON, one text for each message" : "JSON"),
        ),
        h("button.quiet", { type: "button", onclick: () => this.use(this.state.text) }, "Tidy"),
      ),
      this.editor,
      this.editorNote,
    );
    return h(
      "article.call",
      { onkeydown: (/** @type {KeyboardEvent} */ event) => this.pressed(event) },
      rpcHeader(rpc, this.app.model, "call"),
      summary !== "" && h("p.comment", null, inlineNodes(summary)),
      ways.length === 0
        ? noSocket()
        : h(
            "div.send-bar",
            null,
            this.way,
            this.preview,
            h("div.send-buttons", null, this.half, this.stop, this.send),
          ),
      this.warnings,
      options,
      h("div.panes", null, form, h("div.side", null, editor, this.answerPlace)),
      h("section.snippets", null, h("h2", null, "The same call elsewhere"), this.snippetPlace),
    );
  }

  choose() {
    this.state.way = this.way.value;
    this.changed();
  }

  timed() {
    this.state.timeout = this.timeout.value.replaceAll(/\D/g, "");
    this.changed();
  }

  close() {
    clearTimeout(this.saving);
    this.running?.cancel();
  }

  /** Begins with the request that the server makes of the schema. */
  async begin() {
    const [own] = this.rpc.examples ?? [];
    if (own !== undefined) {
      this.take(own);
      return;
    }
    const sample = await this.sample();
    if (sample !== undefined && this.editor.value === "{}") this.use(sample);
  }

  async sample() {
    const response = await fetch(`${this.app.base}/example.json?rpc=${encodeURIComponent(this.rpc.id)}`);
    return response.ok ? response.text() : undefined;
  }

  /** @param {string} text */
  use(text) {
    try {
      this.state.text = parseTexts(text)
        .map((json) => writeJson(json, true))
        .join("\n");
    } catch {
      this.state.text = text;
    }
    this.textChanged(true);
  }

  /** @param {Example} example */
  take({ message, headers }) {
    for (const [name, value] of Object.entries(headers ?? {})) {
      if (!this.state.headers.some(([one]) => one.toLowerCase() === name.toLowerCase()))
        this.state.headers.push([name, value]);
    }
    this.showHeaders();
    const [first] = parseTexts(message);
    this.use(first?.kind === "array" ? first.items.map((item) => writeJson(item)).join("\n") : message);
  }

  exampleButtons() {
    /** @type {(text: string, press: () => unknown) => HTMLElement} */
    const button = (text, press) => h("button.quiet", { type: "button", onclick: press }, text);
    const made = async () => {
      const sample = await this.sample();
      if (sample !== undefined) this.use(sample);
    };
    const own = (this.rpc.examples ?? []).map((example) => button(example.name, () => this.take(example)));
    return h(
      "div.examples",
      null,
      button("Example", made),
      own,
      button("Clear", () => this.use("{}")),
    );
  }

  showHeaders() {
    const { headers } = this.state;
    const name = () => {
      const count = headers.filter(([one]) => one !== "").length;
      replace(this.headerSummary, "Headers and deadline", count > 0 && h("span.tag", null, `${count}`));
    };
    replace(
      this.headers,
      headerRows(headers, () => {
        name();
        this.changed();
      }),
    );
    name();
  }

  /** The form has changed the JSON of the request. */
  formChanged() {
    this.state.text = writeJson(this.json, true);
    this.editor.value = this.state.text;
    this.note("");
    this.changed();
  }

  edited() {
    this.state.text = this.editor.value;
    this.textChanged(false);
  }

  /** @param {boolean} isShown whether the editor gets the text too */
  textChanged(isShown) {
    if (isShown) this.editor.value = this.state.text;
    try {
      const texts = parseTexts(this.state.text);
      const [first, ...more] = texts;
      const isOne = more.length === 0 && (first === undefined || first.kind === "object");
      this.form.element.inert = !isOne;
      if (isOne) {
        this.json = first?.kind === "object" ? first : emptyObject();
        this.form.show(this.json);
        this.note("");
      } else if (sendsMany(this.rpc.kind))
        this.note(`${texts.length} messages: the form shows a single one.`);
      else this.note("expected one object");
    } catch (error) {
      this.form.element.inert = true;
      this.note(error instanceof Error ? error.message : "");
    }
    this.changed();
  }

  /** @param {string} text */
  note(text) {
    this.editorNote.textContent = text;
  }

  /** Something of the request has changed: what is made of it follows. */
  changed() {
    const { rest } = this.call();
    const { rpc, state } = this;
    const { prefix } = this.app.model.text;
    replace(
      this.preview,
      state.way.startsWith("rest") && rest !== undefined
        ? [verbTag(rest.verb), pathNodes(prefix + rest.path)]
        : state.way === "connect"
          ? [verbTag("POST"), pathNodes(`${prefix}/${rpc.id}`)]
          : [h("span.verb.any", null, "WS"), pathNodes(prefix + this.socket)],
    );
    replace(
      this.warnings,
      rest !== undefined &&
        rest.missing.length > 0 &&
        h(
          "p.note.warn",
          null,
          "The path needs ",
          rest.missing.map((one, at) => [at > 0 && ", ", h("code", null, one)]),
          ".",
        ),
      rest !== undefined &&
        rest.leftOut.length > 0 &&
        h(
          "p.note.warn",
          null,
          "No query can have ",
          rest.leftOut.map((one, at) => [at > 0 && ", ", h("code", null, one)]),
          ": call by Connect or WebSocket to send it.",
        ),
    );
    clearTimeout(this.saving);
    this.saving = setTimeout(() => {
      const query = queryOf(state);
      history.replaceState(null, "", hashOf("call", rpc.id, query ?? {}));
      replace(this.snippetPlace, snippetTabs(this.app, this.call(true)));
    }, 250);
  }

  /** @param {boolean} [isSnippet] whether the route matters even if another protocol is chosen */
  call(isSnippet = false) {
    const { rpc, state, app } = this;
    /** @type {Json[]} */
    let texts = [];
    try {
      texts = parseTexts(state.text);
    } catch {
      // The editor says what is wrong.
    }
    const [way = "", at = ""] = state.way.split(":");
    const route = rpc.routes[way === "rest" ? Number(at) : isSnippet ? 0 : -1];
    /** @type {RestRequest | undefined} */
    const rest =
      route === undefined
        ? undefined
        : restRequest(app.model, this.message, route, texts[0] ?? emptyObject());
    /** @type {CallInit} */
    const init = {
      rpc,
      via: way === "rest" ? "rest" : way === "connect" ? "connect" : "socket",
      root: app.root,
      socketPath: this.socket,
      rest,
      messages: texts.length === 0 && !sendsMany(rpc.kind) ? ["{}"] : texts.map((json) => writeJson(json)),
      headers: state.headers.filter(([name]) => name !== ""),
      timeoutMs: state.timeout === "" ? undefined : Number(state.timeout),
    };
    return init;
  }

  showSend() {
    const { send, running, half, stop } = this;
    const isOpen = running !== undefined;
    const canSend = running?.send !== undefined;
    send.classList.toggle("primary", !isOpen || canSend);
    if (!isOpen) replace(send, icon("send"), "Call");
    else if (canSend) replace(send, icon("send"), "Send message");
    else replace(send, icon("stop"), "Cancel");
    send.title = isOpen && !canSend ? "Escape" : "Ctrl+Enter";
    half.hidden = !canSend;
    half.disabled = false;
    stop.hidden = !canSend;
  }

  press() {
    if (this.running === undefined) this.start();
    else if (this.running.send !== undefined) this.sendMore();
    else this.running.cancel();
  }

  sendMore() {
    for (const text of this.call().messages) {
      this.running?.send?.(text);
      this.answer?.list.add(text, true);
    }
  }

  endRequests() {
    this.running?.endRequests?.();
    this.half.disabled = true;
  }

  start() {
    const init = this.call();
    this.form.mark([]);
    const isStream = this.rpc.kind !== "unary";
    const answer = new Answer(isStream, (ended) => {
      this.running = undefined;
      this.showSend();
      const open = this.form.mark(ended.outcome.violations);
      replace(
        answer.violations,
        open.map(({ field, description }) => h("p.problem", null, h("code", null, field), ` ${description}`)),
      );
      const { state, rpc } = this;
      void this.app.store.keep({
        rpc: rpc.id,
        state: structuredClone(state),
        at: Date.now(),
        ms: ended.ms,
        status: ended.status,
        responseHeaders: ended.headers,
        outcome: ended.outcome,
        reply: ended.reply,
        messages: ended.messages,
      });
    });
    this.answer = answer;
    replace(this.answerPlace, answer.element);
    if (sendsMany(this.rpc.kind)) for (const text of init.messages) answer.list.add(text, true);
    this.running = beginCall(init, answer.events);
    this.showSend();
    if (matchMedia("(max-width: 1100px)").matches)
      answer.element.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      if (this.running === undefined || this.running.send !== undefined) this.press();
    } else if (event.key === "Escape") this.running?.cancel();
  }
}

/**
 * Headers that the history has handed over, for no address may have them.
 *
 * @param {readonly Header[]} given
 * @returns {Header[]}
 */
function handedOver(given) {
  const text = sessionStorage.getItem(handOverKey);
  sessionStorage.removeItem(handOverKey);
  if (text === null) return [];
  const headers = /** @type {Header[]} */ (JSON.parse(text));
  return headers.filter(([name]) => !given.some(([one]) => one === name));
}

function noSocket() {
  return h(
    "p.note.warn",
    null,
    "This rpc gets a stream of requests, which pages can send by WebSocket alone, and this server serves none (",
    h("code", null, "webSockets"),
    "). Call it by one of the commands below.",
  );
}
