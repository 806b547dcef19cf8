import type { Transport } from "@connectrpc/connect";
import { hasFunctions } from "../config/check-options.ts";

/** The connections to another server, as far as health is concerned. */
export interface Reach {
  readonly canBeCalled: boolean;
  /** @returns a function that ends the calls of `fn` */
  onChange(fn: () => void): () => void;
}

/** Of a service of another server: its `Reach`. */
export const reached = Symbol("reached");

/** How a service reaches its server; undefined for one of this process, and behind a transport that does not say. */
export function reachOfService(service: object): Reach | undefined {
  return (service as { readonly [reached]?: Reach })[reached];
}

/** How a transport of `dial` reaches its server; undefined for others, which do not say. */
export function reachOf(transport: Transport): Reach | undefined {
  if (!("state" in transport && hasFunctions(transport, "onChange"))) return undefined;
  const dialled = transport as Transport & { readonly state: string } & Pick<Reach, "onChange">; // As was looked at.
  return {
    get canBeCalled() {
      return dialled.state !== "transient-failure" && dialled.state !== "closed";
    },
    onChange: (fn) => dialled.onChange(fn),
  };
}
