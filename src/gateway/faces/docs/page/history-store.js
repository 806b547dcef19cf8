/** Requests that were made, and those that have a name, in a database of the browser. Secrets stay in the tab. */
import { isSecret } from "./secrets.js";

/** @import { Header, Outcome } from "./calls.js" */
/** @import { RequestState } from "./request-state.js" */

/**
 * @typedef {object} Made a request that was made
 * @property {number} [id]
 * @property {string} rpc
 * @property {RequestState} state
 * @property {number} at milliseconds since 1970
 * @property {number} ms
 * @property {string} status
 * @property {readonly Header[]} responseHeaders
 * @property {Outcome} outcome
 * @property {string} reply
 * @property {readonly string[]} messages
 *
 * @typedef {object} Saved a request with a name
 * @property {string} name
 * @property {string} rpc
 * @property {RequestState} state
 */

const mostMade = 100;
/** Where headers of a request that is opened are, for the tab alone. */
export const handOverKey = "ts-ms open";
const keepKey = "ts-ms.keep-secrets";

/** Whether secrets are kept with requests, and not for the tab alone. */
export function keepsSecrets() {
  return localStorage.getItem(keepKey) === "yes";
}

/** @param {boolean} isKept */
export function keepSecrets(isKept) {
  if (isKept) localStorage.setItem(keepKey, "yes");
  else localStorage.removeItem(keepKey);
}

export class Store {
  /** @param {string} base path of the console: each has requests of its own */
  constructor(base) {
    this.name = `ts-ms${base}`;
    /** @type {Promise<IDBDatabase> | undefined} */
    this.opening = undefined;
  }

  open() {
    return (this.opening ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, 1);
      request.addEventListener("upgradeneeded", () => {
        request.result.createObjectStore("made", { keyPath: "id", autoIncrement: true });
        request.result.createObjectStore("saved", { keyPath: "name" });
      });
      request.addEventListener("success", () => resolve(request.result));
      request.addEventListener("error", () => reject(request.error ?? new Error("no database")));
    }));
  }

  /**
   * @template T
   * @param {"made" | "saved"} store
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => IDBRequest<T>} ask
   * @returns {Promise<T>}
   */
  async ask(store, mode, ask) {
    const database = await this.open();
    return new Promise((resolve, reject) => {
      const request = ask(database.transaction(store, mode).objectStore(store));
      request.addEventListener("success", () => resolve(request.result));
      request.addEventListener("error", () => reject(request.error ?? new Error("the database refuses")));
    });
  }

  /**
   * Keeps a request that was made; the oldest beyond a hundred are removed.
   *
   * @param {Made} made
   */
  async keep(made) {
    const id = await this.ask("made", "readwrite", (store) =>
      store.add({ ...made, state: withoutSecrets(made.state, `made ${made.at}`) }),
    );
    const keys = await this.ask("made", "readonly", (store) => store.getAllKeys());
    for (const key of keys.slice(0, Math.max(0, keys.length - mostMade))) {
      await this.ask("made", "readwrite", (store) => store.delete(key));
    }
    return Number(id);
  }

  /** @returns {Promise<Made[]>} the newest first */
  async made() {
    const all = /** @type {Made[]} */ (await this.ask("made", "readonly", (store) => store.getAll()));
    return all.reverse().map((one) => ({ ...one, state: withSecrets(one.state, `made ${one.at}`) }));
  }

  /** @param {Saved} saved */
  async save(saved) {
    await this.ask("saved", "readwrite", (store) =>
      store.put({ ...saved, state: withoutSecrets(saved.state, `saved ${saved.name}`) }),
    );
  }

  /** @returns {Promise<Saved[]>} */
  async saved() {
    const all = /** @type {Saved[]} */ (await this.ask("saved", "readonly", (store) => store.getAll()));
    return all.map((one) => ({ ...one, state: withSecrets(one.state, `saved ${one.name}`) }));
  }

  /** @param {string} name */
  async remove(name) {
    await this.ask("saved", "readwrite", (store) => store.delete(name));
  }

  async clear() {
    await this.ask("made", "readwrite", (store) => store.clear());
  }
}

/**
 * @param {RequestState} state
 * @param {string} key
 * @returns {RequestState}
 */
function withoutSecrets(state, key) {
  if (keepsSecrets()) return state;
  const secrets = state.headers.filter(([name]) => isSecret(name));
  if (secrets.length > 0) sessionStorage.setItem(`ts-ms ${key}`, JSON.stringify(secrets));
  return {
    ...state,
    headers: state.headers.map(([name, value]) => (isSecret(name) ? [name, ""] : [name, value])),
  };
}

/**
 * @param {RequestState} state
 * @param {string} key
 * @returns {RequestState}
 */
function withSecrets(state, key) {
  const secrets = new Map(
    /** @type {Header[]} */ (JSON.parse(sessionStorage.getItem(`ts-ms ${key}`) ?? "[]")),
  );
  return {
    ...state,
    headers: state.headers.map(([name, value]) => [name, value === "" ? (secrets.get(name) ?? "") : value]),
  };
}
