/** Why a node is there no more: it has said so, or nothing came of it for too long. */
export type GoneWhy = "stopped" | "died";

/** Another node of the hub, as far as it is known here. */
export interface OtherNode {
  readonly id: string;
  /** Live connections there, when it said so last. */
  readonly connections: number;
}

interface Known extends OtherNode {
  readonly life: number;
  readonly heardMs: number;
}

/** Is told of other nodes. */
export interface NodeTableOwner {
  came(node: string): void;
  gone(node: string, why: GoneWhy): void;
}

/**
 * The other nodes of a hub, by what they say.
 *
 * ```
 *              heartbeat                      heartbeat of a later life
 *   unknown ──────────────▶ live ◀─────────────────────────────────────────┐
 *      ▲                     │  says that it stops; or silent for the time  │
 *      └── after the time ── gone ─────────────────────────────────────────┘
 * ```
 *
 * Late frames of a life that has stopped bring no node back.
 */
export class NodeTable {
  readonly #ttlMs: number;
  readonly #owner: NodeTableOwner;
  readonly #live = new Map<string, Known>();
  /** Lives that have stopped. */
  readonly #stopped = new Map<string, { readonly life: number; readonly untilMs: number }>();

  /** @param ttlMs how long a silent node is live, in milliseconds */
  constructor(ttlMs: number, owner: NodeTableOwner) {
    this.#ttlMs = ttlMs;
    this.#owner = owner;
  }

  /** The live ones. */
  get nodes(): readonly OtherNode[] {
    return [...this.#live.values()];
  }

  /** When the next node is silent for too long; Infinity without nodes. */
  get nextMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { heardMs } of this.#live.values()) nextMs = Math.min(nextMs, heardMs + this.#ttlMs);
    return nextMs;
  }

  /** Something has come of a node. @returns whether it counts: it is not of a life that is over */
  heard(id: string, life: number, nowMs: number): boolean {
    const known = this.#live.get(id);
    if (known?.life === life) this.#live.set(id, { ...known, heardMs: nowMs });
    return this.#isOfNow(id, life, nowMs);
  }

  /** A node has said that it lives. @returns whether it has come by that */
  beat(id: string, life: number, connections: number, nowMs: number): boolean {
    if (!this.#isOfNow(id, life, nowMs)) return false;
    const known = this.#live.get(id);
    if (known !== undefined && known.life !== life) this.#remove(id, "died");
    const isNew = !this.#live.has(id);
    this.#live.set(id, { id, life, connections, heardMs: nowMs });
    if (isNew) this.#owner.came(id);
    return isNew;
  }

  /** A node has said that it stops. */
  stopped(id: string, life: number, nowMs: number): void {
    if (!this.#isOfNow(id, life, nowMs)) return;
    this.#stopped.set(id, { life, untilMs: nowMs + 2 * this.#ttlMs });
    this.#remove(id, "stopped");
  }

  /** Nodes that are silent for too long are gone. */
  expire(nowMs: number): void {
    for (const { id, heardMs } of [...this.#live.values()]) {
      if (heardMs + this.#ttlMs <= nowMs) this.#remove(id, "died");
    }
    for (const [id, { untilMs }] of this.#stopped) if (untilMs <= nowMs) this.#stopped.delete(id);
  }

  /** Nothing could be heard for a time that is over now: what was not said in it counts against no node. */
  forgive(ms: number): void {
    for (const [id, known] of this.#live) this.#live.set(id, { ...known, heardMs: known.heardMs + ms });
  }

  /** This node has stopped: there are no others for it. */
  clear(): void {
    for (const { id } of this.nodes) this.#remove(id, "stopped");
    this.#stopped.clear();
  }

  #isOfNow(id: string, life: number, nowMs: number): boolean {
    const stopped = this.#stopped.get(id);
    if (stopped !== undefined && stopped.untilMs > nowMs && life <= stopped.life) return false;
    return life >= (this.#live.get(id)?.life ?? 0);
  }

  #remove(id: string, why: GoneWhy): void {
    if (this.#live.delete(id)) this.#owner.gone(id, why);
  }
}
