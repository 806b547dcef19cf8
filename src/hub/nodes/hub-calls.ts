import { HubCallSchema, HubReplySchema } from "../../../gen/ts_ms/hub/v1/node_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Nodes } from "./nodes.ts";

/** What nodes have answered, and which have not. */
export interface Replies<R> {
  readonly results: readonly R[];
  /** Ids of the nodes of the results. */
  readonly nodes: readonly string[];
  /** Ids of nodes that have not answered in time, or have refused; sorted. */
  readonly unreachable: readonly string[];
}

/** A function that nodes do for one another, with its argument and its result, which are written as JSON. */
export interface HubFunction {
  readonly argument: unknown;
  readonly result: unknown;
}

/**
 * Functions of a hub that each node does for its own connections when another one asks for it.
 *
 * @typeParam F the functions by their names
 */
export class HubCalls<F extends { readonly [name in keyof F]: HubFunction }> {
  readonly #nodes: Nodes;
  readonly #functions = new Map<string, (argument: never) => Promise<unknown>>();

  constructor(nodes: Nodes) {
    this.#nodes = nodes;
    nodes.onAsk(HubCallSchema, HubReplySchema, async ({ name, argument }) => {
      const known = this.#functions.get(name);
      if (known === undefined) throw new ConnectError(`${name} is not known`, Code.Unimplemented);
      const result = await known(JSON.parse(argument) as never); // As a node of the same name has written it.
      return { result: JSON.stringify(result ?? null) };
    });
  }

  /** Does a function when other nodes ask for it. What it throws makes this node unreachable for them. */
  serve<N extends keyof F & string>(
    name: N,
    work: (argument: F[N]["argument"]) => Promise<F[N]["result"]>,
  ): void {
    this.#functions.set(name, work);
  }

  /**
   * Asks other nodes for a function. Never rejects.
   *
   * @param among ids of those that are asked. Default: all
   * @param timeoutMs how long they are waited for, in milliseconds. Default: `countTimeoutMs` of the hub
   */
  async ask<N extends keyof F & string>(
    name: N,
    argument: F[N]["argument"],
    among?: readonly string[],
    timeoutMs?: number,
  ): Promise<Replies<F[N]["result"]>> {
    const call = { name, argument: JSON.stringify(argument) };
    const { answers, unreachable } = await this.#nodes.ask(
      HubCallSchema,
      HubReplySchema,
      call,
      among,
      timeoutMs,
    );
    const results = answers.map(({ answer }) => JSON.parse(answer.result) as F[N]["result"]); // As it was written.
    return { results, nodes: answers.map(({ node }) => node), unreachable };
  }
}
