import type { DescMethod } from "@bufbuild/protobuf";
import type { CallOrigin } from "../call-group.ts";
import type { Contract, FaceHost, FacePath } from "../face.ts";
import type { FaceRpc } from "../face-call.ts";
import type { FaceConversation, FaceSocket } from "../face-socket.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { Executor } from "./execute.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import { answerHttp } from "./http-answer.ts";
import type { HttpParts } from "./http-parts.ts";
import { OperationMeter } from "./meters.ts";
import { Persisted } from "./persisted.ts";
import type { FacePage } from "../face-pages.ts";
import { answerPage, answerPageFile } from "./playground.ts";
import { type ContractSchema, madeSchema } from "./schema.ts";
import type { SocketRoom } from "./socket.ts";

/** What is derived of a contract. */
interface Derived {
  readonly schema: ContractSchema;
  readonly executor: Executor;
}

/** GraphQL of one server: what is left of it when a contract is replaced. */
export class GraphqlRoom {
  readonly #options: GraphqlOptions;
  readonly #host: FaceHost;
  readonly #pages: readonly FacePage[];
  readonly #meter: OperationMeter;
  readonly #persisted: Persisted;
  #sockets: SocketRoom | undefined;
  #current: Derived | undefined;
  /** What was derived last. */
  #derived: Derived | undefined;

  /** @throws SetupError for documents that cannot be used */
  constructor(options: GraphqlOptions, host: FaceHost, pages: readonly FacePage[]) {
    this.#options = options;
    this.#pages = pages;
    this.#host = host;
    this.#meter = new OperationMeter(host.httpObservers);
    this.#persisted = new Persisted(options);
  }

  /** Loads what sockets need. */
  async loadSockets(): Promise<void> {
    const { SocketRoom } = await import("./socket.ts");
    this.#sockets = new SocketRoom(this.#options, () => this.#current?.executor);
  }

  /**
   * Makes the schema of a contract.
   *
   * @returns what answers over HTTP
   * @throws SetupError as `madeSchema`, and for rules of messages that are wrong
   */
  use(contract: Contract): FacePath["answer"] {
    const schema = madeSchema(contract, this.#options);
    const rpcs = new Map<DescMethod, FaceRpc>();
    const rpcOf = (method: DescMethod): FaceRpc => {
      let rpc = rpcs.get(method);
      if (rpc === undefined) rpcs.set(method, (rpc = contract.rpc(method, "graphql")));
      return rpc;
    };
    const executor = new Executor({
      schema,
      options: this.#options,
      persisted: this.#persisted,
      meter: this.#meter,
      run: {
        rpcOf,
        options: this.#options,
        defaultTimeoutMs: () => this.#host.live().defaultTimeoutMs,
        onBatch: (keys) => this.#meter.batch(keys),
        onTooManyCalls: () => this.#meter.refused("calls"),
      },
    });
    this.#derived = { schema, executor };
    const parts: HttpParts = {
      executor,
      options: this.#options,
      bodies: this.#host.bodies,
      page: this.#options.playground ? (exchange) => answerPage(exchange, this.#pages) : undefined,
      heartbeatMs: this.#host.heartbeatMs,
      writeIdleMs: () => this.#host.live().writeIdleMs,
    };
    return (exchange: HttpExchange) => answerHttp(exchange, parts);
  }

  /** Sockets get the schema that was made last. */
  adopt(): void {
    this.#current = this.#derived;
  }

  /** Answers with a file of the playground. */
  pageFile(name: string, exchange: HttpExchange): void {
    answerPageFile(name, exchange);
  }

  /** A socket is open. */
  converse(socket: FaceSocket, origin: CallOrigin): FaceConversation {
    if (this.#sockets === undefined) throw new TypeError("sockets are not loaded");
    return this.#sockets.converse(socket, origin);
  }

  /** `5 queries, 7 mutations, 1 subscription; left out: ImportBooks, Chat (client streams)` */
  describe(): string {
    if (this.#current === undefined) return "no rpcs yet";
    const { roots, leftOut } = this.#current.schema;
    const counts = [
      counted(roots.query.size, "query", "queries"),
      counted(roots.mutation.size, "mutation", "mutations"),
      counted(roots.subscription.size, "subscription", "subscriptions"),
    ];
    const names = leftOut.map(({ name }) => name).join(", ");
    return `${counts.join(", ")}${names === "" ? "" : `; left out: ${names} (client streams)`}`;
  }
}

function counted(count: number, one: string, several: string): string {
  return `${count} ${count === 1 ? one : several}`;
}
