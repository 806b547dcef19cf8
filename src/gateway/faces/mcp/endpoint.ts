import type { ConnectError } from "../../../core/errors/errors.ts";
import { Code } from "../../../core/errors/errors.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import { HttpError } from "../../http/http-error.ts";
import type { FaceHost } from "../face.ts";
import { EventStream } from "./event-stream.ts";
import { checkArgumentHeaders, checkHeaders } from "./headers.ts";
import { errorText, readMessage, resultText, resultWithList, type RpcMessage } from "./json-rpc.ts";
import { RpcError, rpcCodes } from "./rpc-error.ts";
import { listen } from "./listen.ts";
import type { Listeners } from "./listeners.ts";
import type { McpContract } from "./mcp-contract.ts";
import type { McpOptions } from "./mcp-options.ts";
import { type Answered, isRefusal, McpServer } from "./mcp-server.ts";
import { OriginGuard } from "./origin-guard.ts";
import { progressText } from "./progress.ts";
import { challengeOf } from "./protected-resource.ts";
import { checkMeta, isModern, type Revision, revisionOf } from "./versions.ts";

/** What an endpoint is made of. */
export interface EndpointParts {
  readonly known: McpContract;
  readonly listeners: Listeners;
  readonly options: McpOptions;
  readonly host: FaceHost;
  /** Whether there is a document about where tokens come from. */
  readonly hasDocument: () => boolean;
  /** Counts a request that was answered. */
  readonly count: (method: string, outcome: string) => void;
}

const json = { "content-type": "application/json" };
const jsonType = /^application\/json\s*(?:;|$)/i;

/** The endpoint of one contract over HTTP: a request holds one message, and its answer is a message or events. */
export class Endpoint {
  readonly #parts: EndpointParts;
  readonly #server: McpServer;
  readonly #guard: OriginGuard;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
    this.#server = new McpServer(parts.known, parts.options, parts.host);
    this.#guard = new OriginGuard(parts.host);
  }

  /** Answers a request. @throws HttpError, by which it rejects, for one that is no message at all */
  async answer(exchange: HttpExchange): Promise<void> {
    const { host, count } = this.#parts;
    const { head } = exchange;
    this.#guard.check(head);
    if (!jsonType.test(head.headers["content-type"] ?? "")) {
      throw new HttpError(415, "a message is application/json", { headers: { accept: "application/json" } });
    }
    const body = await host.bodies.read(exchange);
    let message: RpcMessage | undefined;
    try {
      message = readMessage(body);
      await this.#serve(message, exchange);
    } catch (reason) {
      if (!(reason instanceof RpcError)) throw reason;
      count(message?.method ?? "", "refused");
      if (!exchange.answered) exchange.respond(reason.status, { ...json }, errorText(message?.id, reason));
    }
  }

  async #serve(message: RpcMessage, exchange: HttpExchange): Promise<void> {
    const { listeners, host, count } = this.#parts;
    const { headers } = exchange.head;
    const revision = revisionOf(message, headers);
    if (isModern(revision)) checkHeaders(message, headers);
    checkMeta(message, revision);
    const { id, method } = message;
    if (id === undefined || method === undefined) {
      exchange.respond(202, {}, undefined);
      return;
    }
    if (method === "subscriptions/listen" && isModern(revision)) {
      listen({
        id,
        message,
        revision,
        exchange,
        server: this.#server,
        listeners,
        writeIdleMs: host.live().writeIdleMs,
      });
      count(method, "ok");
      return;
    }
    await this.#answerCall(id, message, revision, exchange);
  }

  async #answerCall(
    id: string,
    message: RpcMessage,
    revision: Revision,
    exchange: HttpExchange,
  ): Promise<void> {
    const { host, options, hasDocument, count } = this.#parts;
    const { headers } = exchange.head;
    let events: EventStream | undefined;
    const progressOf = progressText(message);
    let answered: Answered;
    try {
      answered = await this.#server.answer({
        message,
        revision,
        from: exchange,
        began({ context }) {
          // A stream that is gathered would make the server wait for it.
          exchange.onStop = (reason: ConnectError) => context.abort(reason);
        },
        checkHeaders(expected, args) {
          if (isModern(revision)) checkArgumentHeaders(expected, args, headers);
        },
        progress:
          progressOf &&
          ((done) => (events ??= new EventStream(exchange, host.live().writeIdleMs)).send(progressOf(done))),
      });
    } finally {
      exchange.onStop = undefined;
    }
    const { error, list } = answered;
    count(message.method ?? "", answered.outcome);
    if (exchange.destroyed) return;
    if (events !== undefined) {
      await events.end(resultText(id, answered.result));
      return;
    }
    if (exchange.answered) return;
    if (error !== undefined && isRefusal(error)) {
      const status = error.code === Code.Unauthenticated ? 401 : 403;
      const challenge = challengeOf(error, exchange, options.path, hasDocument());
      const refusal = new RpcError(rpcCodes.invalidRequest, error.rawMessage, status);
      exchange.respond(status, { ...json, ...challenge }, errorText(id, refusal));
      return;
    }
    const { result } = answered;
    const body = list === undefined ? resultText(id, result) : resultWithList(id, result, list);
    exchange.respond(200, { ...json }, body);
  }
}
