/** The console: reads the model of the contract and shows the view of the fragment. */
import { h, replace } from "./dom.js";
import { callView } from "./call-view.js";
import { Store } from "./history-store.js";
import { historyView } from "./history-view.js";
import { liveView } from "./live-view.js";
import { Model } from "./model.js";
import { overviewView } from "./overview-view.js";
import { placeOf } from "./place.js";
import { rpcView } from "./rpc-view.js";
import { Shell } from "./shell.js";
import { typeView } from "./type-view.js";

/** @import { Place } from "./place.js" */

/**
 * What a view shows.
 *
 * @typedef {object} View
 * @property {string} title of the page
 * @property {HTMLElement} element
 * @property {() => void} [close] called when another view is shown
 */

/**
 * What views know.
 *
 * @typedef {object} App
 * @property {Model} model
 * @property {Store} store
 * @property {string} base the path of the console, without a slash at its end
 * @property {string} root what stands in front of all paths of the server
 */

const base = new URL(".", import.meta.url).pathname.replace(/\/$/, "");

/** @type {Record<Place["view"], (app: App, place: Place) => View | undefined>} */
const views = {
  call: callView,
  history: historyView,
  live: liveView,
  overview: overviewView,
  rpc: rpcView,
  type: typeView,
};

await start();

async function start() {
  const waiting = h("p.waiting", { role: "status" }, "Reading the contract…");
  document.body.append(waiting);
  let model;
  try {
    model = await readModel();
  } catch (error) {
    const again = h("button", { type: "button", onclick: () => location.reload() }, "Try again");
    replace(
      waiting,
      `The contract cannot be read: ${error instanceof Error ? error.message : "no answer"} `,
      again,
    );
    return;
  }
  waiting.remove();
  /** @type {App} */
  const app = { model, store: new Store(base), base, root: model.text.prefix };
  const shell = new Shell(app);
  /** @type {View | undefined} */
  let shown;
  const show = () => {
    const place = placeOf(location.hash);
    shown?.close?.();
    shown = views[place.view](app, place) ?? missing(place);
    shell.show(place, shown);
  };
  addEventListener("hashchange", show);
  show();
}

async function readModel() {
  const response = await fetch(`${base}/model.json`, { headers: { accept: "application/json" } });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return new Model(await response.json());
}

/**
 * @param {Place} place
 * @returns {View}
 */
function missing({ view, name }) {
  const what = view === "type" ? "type" : "rpc";
  const element = h(
    "article",
    null,
    h("h1", null, `There is no ${what} of this name`),
    h("p", null, h("code", null, name), " is not in the contract. It may have been renamed or removed."),
  );
  return { title: "Not found", element };
}
