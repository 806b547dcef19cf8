import { createClient, type Transport } from "@connectrpc/connect";
import {
  ServerReflection as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";

/** One question of the reflection protocol, the same in both of its versions. */
export type Question = Exclude<ServerReflectionRequest["messageRequest"], { case: undefined }>;

/** One answer of the reflection protocol, the same in both of its versions. */
export type Answer = ServerReflectionResponse["messageResponse"];

/** The versions of the reflection protocol, the newest first. */
export const reflectionVersions = [ReflectionV1, ReflectionV1Alpha] as const;

/** How long one stream of questions may take, in milliseconds. */
const streamTimeoutMs = 10_000;

/** Codes by which servers end the whole stream over one question that they have no answer to. */
const refusals: ReadonlySet<Code> = new Set([
  Code.NotFound,
  Code.InvalidArgument,
  Code.Internal,
  Code.Unknown,
  Code.FailedPrecondition,
]);

/** Answers of a reflection server to one question after another, on one stream as long as the server keeps it open. */
export class ReflectionDialogue implements AsyncDisposable {
  readonly #version: (typeof reflectionVersions)[number];
  readonly #transport: Transport;
  readonly #signal: AbortSignal;
  #stream: Stream | undefined;

  /** @param signal ends it, also while a question is open */
  constructor(version: (typeof reflectionVersions)[number], transport: Transport, signal: AbortSignal) {
    this.#version = version;
    this.#transport = transport;
    this.#signal = signal;
  }

  /**
   * The answer to a question. A stream that the server ends over it counts as an `errorResponse`; the next question
   * goes on a new one.
   *
   * @throws Error when there is no connection, the server has no such service, or it takes too long
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

/** A reflection stream on which one answer follows each question. */
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
  // Both versions have the same messages but for the package.
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
      await answers.next().catch(() => {}); // What it ends with does not matter any more.
    },
  };
}
