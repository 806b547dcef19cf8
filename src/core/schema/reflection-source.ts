import { fromBinary, type FileRegistry } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, type FileDescriptorProto } from "@bufbuild/protobuf/wkt";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  ServerReflection as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ReflectionV1Alpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Code, ConnectError, toCallError } from "../errors.ts";
import { linkFiles, maxDescriptorBytes } from "./file-set.ts";
import { knownFiles } from "./known-files.ts";
import { toSchema, type SchemaSource } from "./schema.ts";

/** One question of the reflection protocol, the same in both of its versions. */
type Question = Exclude<ServerReflectionRequest["messageRequest"], { case: undefined }>;
type Answer = ServerReflectionResponse["messageResponse"];

/** How long one load may take, in milliseconds. */
const loadTimeoutMs = 10_000;

/**
 * Contracts asked from the server behind `transport` by gRPC server reflection, v1 and if it has none, v1alpha.
 *
 * @param only Names of the services to expose; all but the server's own unless given.
 */
export function reflectionSource(transport: Transport, only: readonly string[] = []): SchemaSource {
  return {
    name: "server reflection",
    async load(signal) {
      try {
        return toSchema(await ask(ReflectionV1, transport, signal), only);
      } catch (reason) {
        if (!(reason instanceof ConnectError) || reason.code !== Code.Unimplemented) throw reason;
        return toSchema(await ask(ReflectionV1Alpha, transport, signal), only);
      }
    },
  };
}

async function ask(
  version: typeof ReflectionV1 | typeof ReflectionV1Alpha,
  transport: Transport,
  signal: AbortSignal,
): Promise<FileRegistry> {
  await using dialogue = openDialogue(version, transport, signal);
  const listed = await dialogue.ask({ case: "listServices", value: "" });
  if (listed.case !== "listServicesResponse") throw unexpected("a list of services", listed);
  const files = new Map<string, FileDescriptorProto>();
  let size = 0;
  const take = (answer: Answer, subject: string): void => {
    if (answer.case !== "fileDescriptorResponse") throw unexpected(`the file of ${subject}`, answer);
    for (const bytes of answer.value.fileDescriptorProto) {
      size += bytes.length;
      if (size > maxDescriptorBytes) {
        throw new Error(`server reflection: more than ${maxDescriptorBytes} bytes of descriptors`);
      }
      const file = fromBinary(FileDescriptorProtoSchema, bytes);
      files.set(file.name, file);
    }
  };
  for (const { name } of listed.value.service) {
    take(await dialogue.ask({ case: "fileContainingSymbol", value: name }), name);
  }
  for (let missing = missingImports(files); missing.length > 0; missing = missingImports(files)) {
    for (const name of missing) {
      take(await dialogue.ask({ case: "fileByFilename", value: name }), name);
      if (!files.has(name))
        throw new Error(`server reflection: the answer to ${name} holds other files only`);
    }
  }
  return linkFiles([...files.values()], "server reflection");
}

/** Imports that nobody has yet. Not every server sends a file's imports along. */
function missingImports(files: ReadonlyMap<string, FileDescriptorProto>): string[] {
  const imports = new Set([...files.values()].flatMap((file) => file.dependency));
  return [...imports].filter((name) => !files.has(name) && !knownFiles.has(name));
}

interface Dialogue extends AsyncDisposable {
  ask(question: Question): Promise<Answer>;
}

/** A reflection stream on which one answer follows each question. */
function openDialogue(
  version: typeof ReflectionV1 | typeof ReflectionV1Alpha,
  transport: Transport,
  signal: AbortSignal,
): Dialogue {
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
    .serverReflectionInfo(questions(), { signal, timeoutMs: loadTimeoutMs })
    [Symbol.asyncIterator]();
  return {
    async ask(question) {
      send(question);
      const answer = await answers.next().catch((reason: unknown) => {
        throw toCallError(reason);
      });
      if (answer.done === true) throw new Error("server reflection: the server ended the stream");
      return answer.value.messageResponse;
    },
    async [Symbol.asyncDispose]() {
      send(undefined);
      await answers.next().catch(() => {}); // What it ends with does not matter any more.
    },
  };
}

function unexpected(wanted: string, answer: Answer): Error {
  if (answer.case === "errorResponse") {
    return new Error(`server reflection: no ${wanted}: ${answer.value.errorMessage}`);
  }
  return new Error(`server reflection: asked for ${wanted}, got ${answer.case ?? "nothing"}`);
}
