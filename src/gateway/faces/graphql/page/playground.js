/** A page to try operations on: an editor that completes names from the schema, results, and subscriptions live. */
import { completion } from "./completion.js";
import { sampleQuery } from "./sample.js";

/** @typedef {import("./completion.js").Schema} Schema */

const endpoint = location.pathname;
const historyKey = `graphql ${endpoint}`;
const emptyQuery = "query {\n  __typename\n}\n";
const mostKept = 50;
const mostShown = 1_000_000;

/** What the page needs to know of a schema. */
const introspection = `{ __schema {
  queryType { name } mutationType { name } subscriptionType { name }
  types { name kind fields { name args { name type { kind } } type { ...T } } possibleTypes { name } enumValues { name } }
} }
fragment T on __Type { name ofType { name ofType { name ofType { name } } } }`;

/**
 * @template {HTMLElement} E
 * @param {string} id
 * @param {new () => E} type
 */
function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`there is no ${id}`);
  return found;
}

const query = element("query", HTMLTextAreaElement);
const variables = element("variables", HTMLTextAreaElement);
const headers = element("headers", HTMLTextAreaElement);
const names = element("names", HTMLUListElement);
const past = element("history", HTMLSelectElement);
const run = element("run", HTMLButtonElement);
const stop = element("stop", HTMLButtonElement);
const state = element("state", HTMLElement);
const result = element("result", HTMLElement);

/** @type {Schema | undefined} */
let schema;
/** @type {AbortController | undefined} */
let running;

// The colours that were chosen in the console.
document.documentElement.dataset["theme"] = localStorage.getItem("ts-ms.theme") ?? "auto";

/** @param {string} accept */
function requestHeaders(accept) {
  const lines = headers.value.split("\n").filter((line) => line.trim() !== "");
  const own = lines.map((line) => /** @type {[string, string]} */ (splitHeader(line)));
  return new Headers([...own, ["content-type", "application/json"], ["accept", accept]]);
}

/** @param {string} line */
function splitHeader(line) {
  const colon = line.indexOf(":");
  return [line.slice(0, Math.max(colon, 0)).trim(), line.slice(colon + 1).trim()];
}

async function execute() {
  running?.abort();
  const controller = new AbortController();
  running = controller;
  stop.disabled = false;
  state.textContent = "Running …";
  const began = performance.now();
  try {
    const text = variables.value.trim();
    const body = `{"query":${JSON.stringify(query.value)}${text === "" ? "" : `,"variables":${text}`}}`;
    keep();
    // The text of the variables is sent as it is: a parser would round long numbers.
    if (text !== "") JSON.parse(text);
    const accept = /^\s*subscription\b/m.test(query.value)
      ? "text/event-stream"
      : "application/graphql-response+json, application/json;q=0.9";
    const response = await fetch(endpoint, {
      method: "POST",
      headers: requestHeaders(accept),
      body,
      signal: controller.signal,
    });
    if (response.headers.get("content-type")?.startsWith("text/event-stream") === true)
      await showEvents(response);
    else show(indented(await response.text()));
    state.textContent = `${response.status} in ${Math.round(performance.now() - began)} ms`;
  } catch (error) {
    state.textContent = controller.signal.aborted ? "Stopped." : String(error);
  } finally {
    if (running === controller) stop.disabled = true;
  }
}

/** @param {Response} response */
async function showEvents(response) {
  result.textContent = "";
  let rest = "";
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    const events = (rest + part.value).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const data = event.split("\n").find((line) => line.startsWith("data: "));
      if (data !== undefined) show(`${result.textContent}${indented(data.slice(6))}\n\n`);
    }
  }
}

/** @param {string} text */
function show(text) {
  result.textContent = text.length > mostShown ? `…${text.slice(-mostShown)}` : text;
}

/** Values are texts or small numbers here, so that a parser rounds none. @param {string} text */
function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @returns {{ query: string, variables: string }[]} */
function kept() {
  try {
    return JSON.parse(localStorage.getItem(historyKey) ?? "[]");
  } catch {
    return [];
  }
}

/** Keeps the request; headers may be secret. */
function keep() {
  const entry = { query: query.value, variables: variables.value };
  const others = kept().filter((one) => one.query !== entry.query || one.variables !== entry.variables);
  localStorage.setItem(historyKey, JSON.stringify([entry, ...others].slice(0, mostKept)));
  list();
}

function list() {
  const options = kept().map(
    (entry, at) => new Option(entry.query.replaceAll(/\s+/g, " ").slice(0, 60), String(at)),
  );
  past.replaceChildren(new Option(options.length === 0 ? "none" : "choose …", ""), ...options);
}

async function load() {
  const response = await fetch(endpoint, {
    method: "POST",
    headers: requestHeaders("application/json"),
    body: JSON.stringify({ query: introspection }),
  });
  const { data } = await response.json();
  if (data === undefined || data === null)
    state.textContent = "This server does not show its schema: nothing is completed.";
  else {
    schema = data.__schema;
    if (query.value === emptyQuery && schema !== undefined) query.value = sampleQuery(schema);
  }
}

/** @param {boolean} isAsked whether names are asked for by a key */
function suggest(isAsked) {
  const { selectionStart } = query;
  const found = schema === undefined ? undefined : completion(query.value.slice(0, selectionStart), schema);
  const fit =
    found === undefined || (!isAsked && found.prefix === "")
      ? []
      : found.names.filter((name) => name !== found.prefix).slice(0, 50);
  names.replaceChildren(
    ...fit.map((name, at) => {
      const item = document.createElement("li");
      item.textContent = name;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(at === 0));
      item.addEventListener("mousedown", (event) => {
        event.preventDefault();
        accept(name);
      });
      return item;
    }),
  );
  names.hidden = fit.length === 0;
}

/** @param {string} name */
function accept(name) {
  const { selectionStart } = query;
  const before = query.value.slice(0, selectionStart).replace(/\w*$/, "");
  query.setRangeText(name, before.length, selectionStart, "end");
  names.hidden = true;
  query.focus();
}

/** @param {number} step */
function move(step) {
  const items = [...names.children];
  const at = items.findIndex((item) => item.getAttribute("aria-selected") === "true");
  const next = items[(at + step + items.length) % items.length];
  for (const item of items) item.setAttribute("aria-selected", String(item === next));
  next?.scrollIntoView({ block: "nearest" });
}

/** @param {KeyboardEvent} event */
function press(event) {
  if (event.ctrlKey && event.key === "Enter") void execute();
  else if (event.ctrlKey && event.key === " ") suggest(true);
  else if (names.hidden) return;
  else if (event.key === "ArrowDown") move(1);
  else if (event.key === "ArrowUp") move(-1);
  else if (event.key === "Escape") names.hidden = true;
  else if (event.key === "Enter" || event.key === "Tab")
    accept(names.querySelector('[aria-selected="true"]')?.textContent ?? "");
  else return;
  event.preventDefault();
}

query.addEventListener("keydown", press);
query.addEventListener("input", () => suggest(false));
query.addEventListener("blur", () => (names.hidden = true));
run.addEventListener("click", () => void execute());
stop.addEventListener("click", () => running?.abort());
past.addEventListener("change", () => {
  const entry = kept()[Number(past.value)];
  if (past.value === "" || entry === undefined) return;
  query.value = entry.query;
  variables.value = entry.variables;
});
query.value = kept()[0]?.query ?? emptyQuery;
list();
load().catch((/** @type {unknown} */ error) => (state.textContent = String(error)));
