import { RpcError, rpcCodes } from "./rpc-error.ts";

/** Changes that clients may listen for. */
export type Change = "toolsListChanged" | "resourcesListChanged";

/** All of them, with the notification of each. */
export const changes: Readonly<Record<Change, string>> = Object.freeze({
  toolsListChanged: "notifications/tools/list_changed",
  resourcesListChanged: "notifications/resources/list_changed",
});

/** One open `subscriptions/listen`. */
export interface Listener {
  readonly asked: readonly Change[];
  /** Something has changed. */
  notify(change: Change): void;
  /** The server stops: ends with a result. Resolves when that has been sent, or its client has left. */
  end(): Promise<void>;
  /** Nothing was sent for a while. */
  beat(): void;
}

/** The open `subscriptions/listen` of one server. */
export class Listeners {
  readonly #most: number;
  readonly #heartbeatMs: number;
  readonly #open = new Set<Listener>();
  #heartbeat: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(most: number, heartbeatMs: number) {
    this.#most = most;
    this.#heartbeatMs = heartbeatMs;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @throws RpcError -32603 for one too many, and while the server stops */
  checkRoom(): void {
    if (this.#stopped) throw new RpcError(rpcCodes.internal, "the server is shutting down", 503);
    if (this.#open.size < this.#most) return;
    throw new RpcError(rpcCodes.internal, `${this.#most} clients listen already: no more can`, 503);
  }

  add(listener: Listener): void {
    this.#open.add(listener);
    if (this.#heartbeatMs === 0) return;
    this.#heartbeat ??= setInterval(() => {
      for (const one of this.#open) one.beat();
    }, this.#heartbeatMs).unref();
  }

  delete(listener: Listener): void {
    this.#open.delete(listener);
    if (this.#open.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
  }

  /** Other tools and resources are served from now on. */
  changed(): void {
    for (const one of this.#open) for (const change of one.asked) one.notify(change);
  }

  /** Ends all of them. @returns how many there were */
  async stop(): Promise<number> {
    this.#stopped = true;
    const all = [...this.#open];
    await Promise.all(all.map((one) => one.end()));
    return all.length;
  }
}
