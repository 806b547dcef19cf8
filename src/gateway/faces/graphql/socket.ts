import type { IncomingHttpHeaders } from "node:http";
import type { ExecutionArgs, GraphQLError } from "graphql";
import { makeServer, type Server, type SubscribePayload } from "graphql-ws";
import { codeName } from "../../../core/errors/code-name.ts";
import { Code, ConnectError, toCallError } from "../../../core/errors/errors.ts";
import { readHeaders, withHeaders } from "../../http/socket-headers.ts";
import { CallGroup, type CallOrigin } from "../call-group.ts";
import type { FaceConversation, FaceSocket } from "../face-socket.ts";
import { requestError, type ShownError, type ShownResult } from "./errors.ts";
import type { Executor } from "./execute.ts";
import type { GraphqlOptions } from "./graphql-options.ts";
import type { PreparedOperation } from "./prepared-operation.ts";
import { checkDepth, exactly, requestOf } from "./request.ts";
import { causedError, causeOf } from "./versions.ts";
import { type OperationResult, WrittenResult } from "./written-result.ts";

/** Codes by which sockets of graphql-transport-ws close. */
const closeCodes = { badRequest: 4400, internal: 4500, goingAway: 1001 } as const;

const stopping = "the server is shutting down";

/**
 * Sockets by the subprotocol graphql-transport-ws.
 *
 * @see https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md
 */
export class SocketRoom {
  readonly #server: Server<Conversation>;
  readonly #executor: () => Executor | undefined;

  /** @param executor that of the contract of the moment */
  constructor(
    { initTimeoutMs }: Pick<GraphqlOptions, "initTimeoutMs">,
    executor: () => Executor | undefined,
  ) {
    this.#executor = executor;
    this.#server = makeServer<Record<string, unknown>, Conversation>({
      connectionInitWaitTimeout: initTimeoutMs,
      jsonMessageReviver: exactly,
      onConnect: ({ connectionParams, extra }) => extra.connect(connectionParams),
      onSubscribe: ({ extra }, id, payload) => extra.subscribe(id, payload),
      execute: (args) => conversationOf(args).execute(args),
      subscribe: (args) => conversationOf(args).execute(args),
      // Results are shown already.
      onNext: ({ extra }, _id, _payload, _args, result) => extra.payloadOf(result) as never,
      onError: (_context, _id, _payload, errors) => errors.flatMap(shownErrors) as never,
      onComplete: ({ extra }, id) => extra.completed(id),
    });
  }

  converse(socket: FaceSocket, origin: CallOrigin): FaceConversation {
    return new Conversation(socket, origin, this.#executor, this.#server);
  }
}

/** Errors that clients get as they are. */
class CarriedErrors extends Error {
  readonly errors: readonly ShownError[];

  constructor(errors: readonly ShownError[]) {
    super(errors[0]?.message);
    this.errors = errors;
  }
}

/** The arguments of an execution, with what they are of. */
interface OwnArgs extends ExecutionArgs {
  readonly contextValue: {
    readonly conversation: Conversation;
    /** That of the contract by which the operation was checked. */
    readonly executor: Executor;
    readonly prepared: PreparedOperation;
  };
}

/** One socket. */
class Conversation implements FaceConversation {
  readonly #socket: FaceSocket;
  readonly #origin: CallOrigin;
  readonly #executor: () => Executor | undefined;
  readonly #receive: (text: string) => Promise<void>;
  readonly #closed: (code?: number, reason?: string) => Promise<void>;
  /** The operations under way, by their ids, with the names of their fields. */
  readonly #operations = new Map<string, { readonly names: string; readonly isStream: boolean }>();
  /** The text of the result that is part of the next message. */
  #payload: string | undefined;
  #group: CallGroup;
  #isDraining = false;

  constructor(
    socket: FaceSocket,
    origin: CallOrigin,
    executor: () => Executor | undefined,
    server: Server<Conversation>,
  ) {
    this.#socket = socket;
    this.#origin = origin;
    this.#executor = executor;
    this.#group = CallGroup.ofSocket(origin);
    let receive: (text: string) => Promise<void> = () => Promise.resolve();
    this.#closed = server.opened(
      {
        protocol: socket.protocol,
        send: (text) => socket.write(this.#withPayload(text)),
        close: (code = closeCodes.internal, reason = "") => socket.close(code, reason),
        onMessage: (callback) => (receive = callback),
      },
      this,
    );
    this.#receive = receive;
  }

  get calls(): readonly string[] {
    return [...this.#operations.values()].map(({ names }) => names);
  }

  message(text: string): void {
    try {
      checkDepth(text);
    } catch {
      this.#socket.close(closeCodes.badRequest, "Invalid message received");
      return;
    }
    this.#receive(text).catch(() => this.#socket.close(closeCodes.internal, "Internal server error"));
  }

  closed(): void {
    this.#group.abort(new ConnectError("the client closed the socket", Code.Canceled));
    void this.#closed().catch(() => {}); // Nothing is left to close.
  }

  drain(): void {
    this.#isDraining = true;
    this.#closeIfIdle();
  }

  notify(): readonly string[] {
    const streams = [...this.#operations.values()].filter(({ isStream }) => isStream);
    if (streams.length > 0) this.#group.abort(new ConnectError(stopping, Code.Unavailable));
    return streams.map(({ names }) => names);
  }

  cut(): void {
    this.#isDraining = true;
    this.#group.abort(new ConnectError(stopping, Code.Unavailable));
    this.#closeIfIdle();
  }

  /** The client has said who it is. */
  connect(payload: Readonly<Record<string, unknown>> | undefined): boolean {
    const headers = payload?.["headers"];
    if (headers === undefined || headers === null) return true;
    const merged: IncomingHttpHeaders = withHeaders(this.#origin.head.headers, readHeaders(headers));
    this.#group = CallGroup.ofSocket({ ...this.#origin, head: { ...this.#origin.head, headers: merged } });
    return true;
  }

  /** Checks an operation. @returns what executes it, or the errors of a request that is wrong */
  subscribe(id: string, payload: SubscribePayload): OwnArgs | GraphQLError[] {
    const executor = this.#executor();
    if (executor === undefined || this.#isDraining) return [refusal(stopping, Code.Unavailable)];
    if (this.#operations.size >= this.#socket.maxCalls) {
      return [refusal("too many operations are under way on this socket", Code.ResourceExhausted)];
    }
    let prepared: PreparedOperation;
    try {
      prepared = executor.prepare(requestOf(payload));
    } catch (reason) {
      const errors = executor.refused(reason)?.errors ?? [requestError(toCallError(reason))];
      return errors.map((error) => carrying(new CarriedErrors([error])));
    }
    const { operation, valid, type, request } = prepared;
    const names = operation.selectionSet.selections
      .map((node) => ("name" in node ? node.name.value : "…"))
      .join();
    this.#operations.set(id, { names, isStream: type === "subscription" });
    return {
      schema: executor.schema,
      document: valid.document,
      operationName: request.operationName,
      contextValue: { conversation: this, executor, prepared },
    };
  }

  /** Executes what `subscribe` has returned. */
  async execute({ contextValue }: OwnArgs): Promise<AsyncGenerator<OperationResult> | OperationResult> {
    const { prepared, executor } = contextValue;
    const result =
      prepared.type === "subscription"
        ? await executor.subscribe(prepared, this.#group)
        : await executor.execute(prepared, this.#group);
    const isExecuted = result instanceof WrittenResult || Symbol.asyncIterator in result || "data" in result;
    if (isExecuted) return result;
    return failing(result.errors ?? []); // The request itself is wrong.
  }

  /** What stands for a result in a message: where its text is written already, a 0 in the place of it. */
  payloadOf(result: unknown): unknown {
    if (!(result instanceof WrittenResult)) return result;
    return {
      toJSON: () => {
        this.#payload = result.text;
        return 0;
      },
    };
  }

  /** A message, which is sent as soon as it is a text, with the result in its place. */
  #withPayload(text: string): string {
    const payload = this.#payload;
    if (payload === undefined) return text;
    this.#payload = undefined;
    return `${text.slice(0, -"0}".length)}${payload}}`; // The payload is the last member.
  }

  /** An operation is over. */
  completed(id: string): void {
    this.#operations.delete(id);
    if (this.#isDraining) setImmediate(() => this.#closeIfIdle()); // Its last message is still to be written.
  }

  #closeIfIdle(): void {
    if (this.#operations.size === 0) this.#socket.close(closeCodes.goingAway, stopping);
  }
}

function conversationOf(args: ExecutionArgs): { execute: (args: ExecutionArgs) => Promise<never> } {
  const { contextValue } = args as OwnArgs; // As `subscribe` has made it.
  // Results are formatted; the types of graphql-ws have those of GraphQL.
  return { execute: () => contextValue.conversation.execute(args as OwnArgs) as Promise<never> };
}

/** Results that end with errors of the request. */
function failing(errors: readonly ShownError[]): AsyncGenerator<ShownResult> {
  const reason = new CarriedErrors(errors);
  const results: AsyncGenerator<ShownResult> = {
    next: () => Promise.reject(reason),
    return: () => Promise.resolve({ done: true, value: undefined }),
    throw: () => Promise.reject(reason),
    [Symbol.asyncIterator]: () => results,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  return results;
}

function carrying(errors: CarriedErrors): GraphQLError {
  return causedError(errors.message, errors);
}

function shownErrors(error: GraphQLError): readonly ShownError[] {
  const carried = causeOf(error);
  if (carried instanceof CarriedErrors) return carried.errors;
  const { message, extensions } = error;
  return [
    {
      message: carried === undefined ? message : "internal error",
      extensions: { code: codeName(Code.Internal), ...extensions },
    },
  ];
}

function refusal(message: string, code: Code): GraphQLError {
  return carrying(new CarriedErrors([requestError(new ConnectError(message, code))]));
}
