import type { DescService, Registry } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { toInvoker, toTransport } from "../../core/call/transport.ts";
import { hasFunctions } from "../../core/config/check-options.ts";
import { dialInvoker, type Dialed, type DialOptions, type DialTarget } from "../../core/dial.ts";
import { withBytes, type BytesInvoker } from "../../core/call/invoker-forms.ts";
import type { DialStats } from "../../core/targets/dial-stats.ts";
import type { UpstreamParts } from "./upstreams-options.ts";

/** What an upstream serves. */
export interface LoadedContract {
  readonly services: readonly DescService[];
  readonly registry: Registry;
}

/** What stands below a dialled transport, of which others have parts or nothing. */
type Below = Pick<Dialed, "state" | "ready" | "onChange" | "stats">;

/** One upstream: its connections, and its contracts as they are known now. */
export class UpstreamEntry {
  readonly name: string;
  readonly parts: UpstreamParts;
  readonly isOfCatalog: boolean;
  readonly transport: Transport;
  readonly invoker: BytesInvoker;
  /** Undefined until the contracts are loaded for the first time. */
  contract: LoadedContract | undefined;
  /** Why they are not loaded; undefined if they are, or if nothing is known yet. */
  problem: string | undefined;
  readonly #below: Partial<Below>;
  readonly #ended = new AbortController();
  readonly #close: () => void;

  /** @throws SetupError for a target or option that `dial` refuses */
  constructor(name: string, parts: UpstreamParts, defaults: Partial<DialOptions>, isOfCatalog: boolean) {
    this.name = name;
    this.parts = parts;
    this.isOfCatalog = isOfCatalog;
    if (parts.transport !== undefined) {
      this.transport = parts.transport;
      this.invoker = withBytes(toInvoker(parts.transport));
      this.#below = parts.transport as Partial<Below>; // Those of `dial` have all of it.
      this.#close = () => {};
    } else {
      const dialed = dialInvoker(parts.target as DialTarget, { name, ...defaults, ...parts.dial }); // One of both is there.
      this.transport = toTransport(dialed, { defaultTimeoutMs: parts.dial.defaultTimeoutMs ?? 0 });
      this.invoker = withBytes(dialed);
      this.#below = dialed;
      this.#close = () => dialed.close();
    }
  }

  /** Fires when the upstream is closed. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** The state of its connections; a transport of another library always is ready. */
  get state(): string {
    return this.#below.state ?? "ready";
  }

  /** Figures of its connections; undefined for a transport of another library. */
  get stats(): DialStats | undefined {
    return hasFunctions(this.#below, "stats") ? this.#below.stats?.() : undefined;
  }

  /** What it calls, on one line. */
  get target(): string {
    const { target } = this.parts;
    if (typeof target === "string") return target;
    if (target === undefined) return "a transport";
    if (Array.isArray(target)) {
      return target
        .map((one: string | { address: string }) => (typeof one === "string" ? one : one.address))
        .join(", ");
    }
    if ("watch" in target)
      return target.authority === undefined ? target.name : `${target.name}:///${target.authority}`;
    return "a server of this process";
  }

  /** Connects and resolves as soon as a server can be called. */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#below.ready?.(signal);
  }

  /** Calls `fn` as its connections change. */
  onChange(fn: () => void): () => void {
    return this.#below.onChange?.(fn) ?? (() => {});
  }

  /** Ends the connections: calls in flight are completed. Idempotent. */
  close(): void {
    this.#ended.abort();
    this.#close();
  }
}
