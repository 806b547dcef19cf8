import { checkOptions } from "../../../core/config/check-options.ts";
import { notify } from "../../../core/call/observer.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { StopReport } from "../../../core/lifecycle/lifecycle.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { HttpError } from "../../http/http-error.ts";
import type { Contract, Face, FaceHost, FacePath, MountedFace } from "../face.ts";
import { LateEndpoint } from "./late-endpoint.ts";
import { Listeners } from "./listeners.ts";
import { mcpDefaults, type McpOptions } from "./mcp-options.ts";
import { McpContract } from "./mcp-contract.ts";
import { resourceDocument, resourcePath } from "./protected-resource.ts";

/**
 * The rpcs of a server as tools and resources of the Model Context Protocol, over its streamable HTTP without sessions.
 *
 * @throws SetupError naming the option that is wrong
 * @see https://modelcontextprotocol.io/specification/2026-07-28
 */
export function mcp(options: Partial<McpOptions> = {}): Face {
  const merged = mcpOptions(options);
  const { path } = merged;
  return {
    name: "mcp",
    paths: [path, resourcePath(path)],
    protocol: "mcp",
    mount: (host) => new MountedMcp(merged, host),
  };
}

/** Options with their defaults. @throws SetupError naming the one that is wrong */
export function mcpOptions(options: Partial<McpOptions>): McpOptions {
  checkOptions<McpOptions>("mcp", options, mcpDefaults);
  const merged: McpOptions = { ...mcpDefaults, ...options };
  if (!["marked", "safe", "all"].includes(merged.expose))
    throw new SetupError(`mcp: expose: expected marked, safe or all, found ${JSON.stringify(merged.expose)}`);
  if (merged.schemas !== "full" && merged.schemas !== "plain")
    throw new SetupError(`mcp: schemas: expected full or plain, found ${JSON.stringify(merged.schemas)}`);
  for (const name of ["maxResultBytes", "maxMessages", "maxStreamMs", "maxListeners"] as const) {
    if (!Number.isSafeInteger(merged[name]) || merged[name] < 1)
      throw new SetupError(`mcp: ${name}: expected a whole number from 1, found ${String(merged[name])}`);
  }
  if (!Number.isSafeInteger(merged.listTtlMs) || merged.listTtlMs < 0)
    throw new SetupError(`mcp: listTtlMs: expected a whole number from 0, found ${String(merged.listTtlMs)}`);
  return merged;
}

/** Methods that have a label of their own in metrics. */
const countedMethods: ReadonlySet<string> = new Set([
  "initialize",
  "ping",
  "server/discover",
  "tools/list",
  "tools/call",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "subscriptions/listen",
]);

class MountedMcp implements MountedFace {
  readonly #options: McpOptions;
  readonly #host: FaceHost;
  readonly #listeners: Listeners;
  #current: McpContract | undefined;
  /** The contract of the last `use`. */
  #derived: McpContract | undefined;

  constructor(options: McpOptions, host: FaceHost) {
    this.#options = options;
    this.#host = host;
    this.#listeners = new Listeners(options.maxListeners, host.heartbeatMs);
  }

  use(contract: Contract): ReadonlyMap<string, FacePath> {
    const options = this.#options;
    const host = this.#host;
    const known = new McpContract(contract, options, host);
    this.#derived = known;
    const { path, guard } = options;
    const document = resourcePath("");
    const hasDocument = (): boolean =>
      options.authorizationServers.length > 0 || host.document(document) !== undefined;
    const endpoint = new LateEndpoint({
      known,
      listeners: this.#listeners,
      options,
      host,
      hasDocument,
      count(method, outcome) {
        const label = countedMethods.has(method) ? method : "other";
        notify(host.httpObservers, (observer) => observer.mcpRequest?.(label, outcome));
      },
    });
    const about = (exchange: HttpExchange): void => {
      if (!hasDocument()) throw new HttpError(404, `no route for GET ${resourcePath(path)}`);
      const body = JSON.stringify(resourceDocument(options, exchange, host.document(document)));
      exchange.respond(200, { "content-type": "application/json" }, body);
    };
    return new Map<string, FacePath>([
      [
        path,
        {
          methods: ["POST"],
          guard,
          isWhole: (head) => endpoint.isWhole(head),
          answer: (exchange) => endpoint.answer(exchange),
        },
      ],
      [resourcePath(path), { methods: ["GET", "HEAD"], guard, answer: about }],
    ]);
  }

  adopt(): void {
    const before = this.#current;
    const now = (this.#current = this.#derived);
    if (before === undefined || now === undefined) return;
    if (!isSame(before.contract, now.contract)) this.#listeners.changed();
  }

  describe(origin: string): readonly string[] {
    const known = this.#current;
    const parts =
      known === undefined
        ? ""
        : `: ${counted(known.shown.tools.length, "tool")}, ${counted(known.resources.length, "resource")}`;
    return [`[MCP] ${origin}${this.#options.path}${parts}`];
  }

  async stop(): Promise<StopReport> {
    const finished = await this.#listeners.stop();
    return { finished, notified: [], cut: [] };
  }
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? "" : "s"}`;
}

function isSame(one: Contract, other: Contract): boolean {
  return (
    one.registry === other.registry &&
    one.services.length === other.services.length &&
    one.services.every((service, at) => service === other.services[at])
  );
}
