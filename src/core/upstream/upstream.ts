import type { Transport } from "@connectrpc/connect";
import type { Invoker } from "../call/invoker.ts";
import { toInvoker } from "../call/transport.ts";
import { checkRequired, hasFunctions } from "../config/check-options.ts";
import { dialInvoker, type DialableServer, type DialOptions } from "../dial.ts";

/** What answers the calls of a server in front of it, and how it is called. */
export interface UpstreamOptions {
  readonly upstream: DialableServer | string | Transport;
  /** How a server of this process is called. */
  readonly dial: "in-process" | "network";
  /** Options of connections over the network. */
  readonly dialOptions: Partial<Omit<DialOptions, "interceptors" | "network">>;
}

/** An upstream that can be called. */
export interface Upstream {
  readonly invoker: Invoker;
  /** Closes the connection that was made for it. */
  close(): void;
  /** Lines for the start-up message. */
  describe(): string[];
}

/** An upstream that has something to say in the start-up message. */
interface Described {
  describe?(): string[];
}

const upstreamKinds = 'a GrpcServer of this process, a target such as "users:42001", or a transport';

/**
 * @param owner whose option `upstream` it is, for errors
 * @throws TypeError for a value that is no upstream; JavaScript callers can pass any
 */
export function checkUpstream(owner: string, upstream: unknown): void {
  const isServer = typeof upstream === "object" && upstream !== null && "dispatcher" in upstream;
  const canBeCalled = typeof upstream === "string" || isServer || hasFunctions(upstream, "unary", "stream");
  checkRequired(owner, "upstream", upstream, canBeCalled, upstreamKinds);
}

/** The invoker of an upstream. @throws TypeError for a target or certificates that are invalid */
export function upstreamInvoker({ upstream, dial, dialOptions }: UpstreamOptions): Upstream {
  if (typeof upstream !== "string" && !("dispatcher" in upstream)) {
    const described = upstream as Transport & Described; // As several upstreams are.
    return { invoker: toInvoker(upstream), close() {}, describe: () => described.describe?.() ?? [] };
  }
  const invoker = dialInvoker(upstream, { ...dialOptions, network: dial === "network" });
  return { invoker, close: () => invoker.close(), describe: nothing };
}

function nothing(): string[] {
  return [];
}
