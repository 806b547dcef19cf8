import { checkOptions } from "../../../core/config/check-options.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";
import type { Contract, Face, FaceHost, FacePath, MountedFace } from "../face.ts";
import type { FacePage } from "../face-pages.ts";
import type { FaceSocketPath } from "../face-socket.ts";
import { type GraphqlOptions, graphqlDefaults } from "./graphql-options.ts";
import type { GraphqlRoom } from "./graphql-room.ts";

/** The subprotocol of sockets. */
const subprotocol = "graphql-transport-ws";

/** The files of the playground, below the path. */
const pageFiles = ["playground.css", "playground.js", "completion.js", "sample.js"];

/** Options that count or measure something; all others of them are at least 1. */
const mayBeZero: ReadonlySet<keyof GraphqlOptions> = new Set(["batchMs", "maxBatchedOperations"]);

/**
 * The rpcs of a server as queries, mutations and subscriptions of GraphQL, with a page to try them on.
 *
 * It needs the packages graphql, graphql-ws and dataloader, which it loads when the server starts.
 *
 * @throws SetupError naming the option that is wrong
 * @see https://spec.graphql.org/September2025/
 * @see https://graphql.github.io/graphql-over-http/draft/
 */
export function graphql(options: Partial<GraphqlOptions> = {}): Face {
  checkOptions<GraphqlOptions>("graphql", options, graphqlDefaults);
  const merged: GraphqlOptions = { ...graphqlDefaults, ...options };
  for (const [name, value] of Object.entries(merged) as [keyof GraphqlOptions, unknown][]) {
    // Of the object's type.
    const least = mayBeZero.has(name) ? 0 : 1;
    if (typeof value === "number" && !(Number.isInteger(value) && value >= least)) {
      throw new SetupError(`graphql: ${name}: expected an integer of at least ${least}, found ${value}`);
    }
  }
  const other = merged.subscriptions.find((way) => way !== "websocket" && way !== "sse");
  if (other !== undefined)
    throw new SetupError(`graphql: subscriptions: expected websocket and sse, found ${String(other)}`);
  const files = merged.playground ? pageFiles.map((file) => `${merged.path}/${file}`) : [];
  return {
    name: "graphql",
    paths: [merged.path, ...files],
    protocol: "graphql",
    page: merged.playground ? { text: "GraphQL", path: merged.path } : undefined,
    mount: (host, pages) => new MountedGraphql(merged, host, pages),
  };
}

/** The face of one server. Everything but this file is loaded when the server starts. */
class MountedGraphql implements MountedFace {
  readonly sockets: ReadonlyMap<string, FaceSocketPath> | undefined;
  readonly #options: GraphqlOptions;
  readonly #host: FaceHost;
  readonly #pages: readonly FacePage[];
  #room: GraphqlRoom | undefined;

  constructor(options: GraphqlOptions, host: FaceHost, pages: readonly FacePage[]) {
    this.#options = options;
    this.#pages = pages;
    this.#host = host;
    const { guard, path } = options;
    const open: FaceSocketPath["open"] = (socket, origin) => this.#loaded.converse(socket, origin);
    this.sockets = this.#hasSockets ? new Map([[path, { protocol: subprotocol, guard, open }]]) : undefined;
  }

  async load(): Promise<void> {
    if (this.#room !== undefined) return;
    const { checkPeers } = await import("./peers.ts");
    await checkPeers(this.#hasSockets);
    const { GraphqlRoom } = await import("./graphql-room.ts");
    const room = new GraphqlRoom(this.#options, this.#host, this.#pages);
    if (this.#hasSockets) await room.loadSockets();
    this.#room = room;
  }

  use(contract: Contract): ReadonlyMap<string, FacePath> {
    const answer = this.#loaded.use(contract);
    const { path, guard, playground } = this.#options;
    const file = (name: string): [string, FacePath] => [
      `${path}/${name}`,
      { methods: ["GET", "HEAD"], guard, answer: (exchange) => this.#loaded.pageFile(name, exchange) },
    ];
    return new Map([
      [path, { methods: ["GET", "POST"], guard, answer }],
      ...(playground ? pageFiles.map(file) : []),
    ]);
  }

  adopt(): void {
    this.#loaded.adopt();
  }

  describe(origin: string): readonly string[] {
    return this.#room === undefined
      ? []
      : [`[GRAPHQL] ${origin}${this.#options.path}: ${this.#room.describe()}`];
  }

  get #hasSockets(): boolean {
    return this.#options.subscriptions.includes("websocket") && this.#host.webSockets;
  }

  get #loaded(): GraphqlRoom {
    if (this.#room === undefined) throw new SetupError("graphql: the server has not been started");
    return this.#room;
  }
}
