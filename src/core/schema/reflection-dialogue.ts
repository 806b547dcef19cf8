import { createClient, type Transport } from "@connectrpc/connect";
import {
  ServerReflection as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";

/** One request of the reflection protocol, the same in both of its versions. */
export type Question = Exclude<ServerReflectionRequest["messageRequest"], { case: undefined }>;

/** One response of the reflection protocol, the same in both of its versions. */
export type Answer = ServerReflectionResponse["messageResponse"];

/** The versions of the reflection protocol, the newest first. */
export const reflectionVersions = [ReflectionV1, ReflectionV1Alpha] as const;

/** Deadline of one reflection stream, in milliseconds. */
const streamTimeoutMs = 10_000;

/** Codes with which some servers end the whole stream when they cannot answer one request. */
const refusals: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.InvalidArgument,
  Code.Internal,
  Code.Unknown,
  Code.FailedPrecondition,
]);

/** Sends requests to a reflection server one after the other, on one stream for as long as the server keeps it open. */
export class ReflectionDialogue implements AsyncDisposable {
  readonly #version: (typeof reflectionVersions)[number];
  readonly #transport: Transport;
  readonly #signal: AbortSignal;
  #stream: Stream | undefined;

  /** @param signal aborts the stream, also while a request is pending */
  constructor(version: (typeof reflectionVersions)[number], transport: Transport, signal: AbortSignal) {
    this.#version = version;
    this.#transport = transport;
    this.#signal = signal;
  }

  /**
   * Sends a request and returns the response. If the server ends the stream because of it, the response is an
   * `errorResponse`, and the next request opens a new stream.
   *
   * @throws Error if there is no connection, the server does not serve reflection, or the deadline passes
   */
  async ask(question: Question): Promise<Answer> {
    this.#stream ??= openStream(this.#version, this.#transport, this.#signal);
    try {
      return await this.#stream.ask(question);
    } catch (reason) {
      this.#stream = undefined;
      const error = toCallError(reason);
      if (question.case === "listServices" || !refusals.has(error.code)) throw error;
      const { code, rawMessage } = error;
      return {
        case: "errorResponse",
        value: {
          $typeName: "grpc.reflection.v1.ErrorResponse",
          errorCode: code,
          errorMessage: rawMessage,
        },
      };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stream?.end();
  }
}

interface Stream {
  ask(question: Question): Promise<Answer>;
  end(): Promise<void>;
}

/** A reflection stream with one response for each request. */
function openStream(
  version: (typeof reflectionVersions)[number],
  transport: Transport,
  signal: AbortSignal,
): Stream {
  let send: (question: Question | undefined) => void = () => {};
  let pending = new Promise<Question | undefined>((resolve) => (send = resolve));
  async function* questions() {
    for (;;) {
      const messageRequest = await pending;
      if (messageRequest === undefined) return;
      pending = new Promise((resolve) => (send = resolve));
      yield { messageRequest };
    }
  }
  // The messages of both versions differ only in their package.
  const client = createClient(version as typeof ReflectionV1, transport);
  const answers = client
    .serverReflectionInfo(questions(), { signal, timeoutMs: streamTimeoutMs })
    [Symbol.asyncIterator]();
  return {
    async ask(question) {
      send(question);
      const answer = await answers.next();
      if (answer.done === true) throw new ConnectError("the server ended the stream", Code.Unknown);
      return answer.value.messageResponse;
    },
    async end() {
      send(undefined);
      await answers.next().catch(() => {}); // The outcome of the stream is irrelevant: all responses are there.
    },
  };
}
