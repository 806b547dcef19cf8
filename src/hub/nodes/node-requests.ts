import type { NodePart } from "../../../gen/ts_ms/hub/v1/node_pb.ts";
import type { Clock } from "../../core/time/clock.ts";

/** A request to other nodes that is under way. */
interface Asked {
  /** Nodes that have not answered. */
  readonly waiting: Set<string>;
  readonly answers: Map<string, NodePart>;
  readonly refused: string[];
  /** Whether nodes count that were not known when it was sent. */
  readonly isForAll: boolean;
  readonly done: () => void;
}

/** What nodes have answered. */
export interface RawAnswers {
  /** By node. */
  readonly answers: ReadonlyMap<string, NodePart>;
  /** Nodes that have not answered in time, or have refused. */
  readonly unreachable: readonly string[];
}

/** Requests to other nodes that wait for answers. */
export class NodeRequests {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #asked = new Map<number, Asked>();
  #lastNumber = 0;

  /** @param timeoutMs how long answers are waited for, in milliseconds */
  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Never rejects.
   *
   * @param send sends the request of a number; where it rejects the answers are those that have come
   * @param timeoutMs how long answers are waited for, in milliseconds. Default: that of the constructor
   */
  async ask(
    nodes: readonly string[],
    isForAll: boolean,
    send: (number: number) => Promise<void>,
    timeoutMs = this.#timeoutMs,
  ): Promise<RawAnswers> {
    if (nodes.length === 0) return { answers: new Map(), unreachable: [] };
    this.#lastNumber = (this.#lastNumber % 0xffff_ffff) + 1;
    const number = this.#lastNumber;
    const { promise, resolve: done } = Promise.withResolvers<void>();
    const asked: Asked = { waiting: new Set(nodes), answers: new Map(), refused: [], isForAll, done };
    this.#asked.set(number, asked);
    const cancel = this.#clock.after(timeoutMs, done);
    try {
      await Promise.race([promise, send(number).then(() => promise)]);
    } catch {
      // The bus is away: what has come is there.
    }
    cancel();
    this.#asked.delete(number);
    return { answers: asked.answers, unreachable: [...asked.refused, ...asked.waiting].sort() };
  }

  /** @param answer undefined where the node has refused */
  answered(number: number, node: string, answer: NodePart | undefined): void {
    const asked = this.#asked.get(number);
    if (asked === undefined || !(asked.waiting.delete(node) || asked.isForAll)) return;
    if (answer === undefined) asked.refused.push(node);
    else asked.answers.set(node, answer);
    if (asked.waiting.size === 0) asked.done();
  }

  /** A node has stopped: it is waited for no more. */
  stopped(node: string): void {
    for (const { waiting, done } of this.#asked.values()) {
      if (waiting.delete(node) && waiting.size === 0) done();
    }
  }
}
