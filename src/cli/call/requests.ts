import { readFile } from "node:fs/promises";
import { create, type DescMessage, type DescMethod, type Message, type Registry } from "@bufbuild/protobuf";
import { jsonReader } from "../../core/codec/json-to-message.ts";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { ConnectError } from "../../core/errors/errors.ts";
import { FlagError, SetupError } from "../../core/errors/setup-error.ts";
import { JsonSplitter } from "../../gateway/http/json-splitter.ts";
import { nearestField } from "./nearest-field.ts";
import { setFields } from "./request-fields.ts";

/** What the command line says of the request. */
export interface RequestArguments {
  /** The value of `--data`. */
  readonly data: string | undefined;
  /** `FIELD=VALUE` each. */
  readonly fields: readonly string[];
  /** Types of `google.protobuf.Any`. */
  readonly registry: Registry;
}

/** The requests of a call: those that are known before it begins, or those of standard input as they come. */
export type Requests =
  | { readonly kind: "known"; readonly messages: readonly Message[] }
  | { readonly kind: "stdin"; readonly messages: AsyncIterable<Message> };

/** The requests of a call as a transport takes those of streams. */
export async function* sentMessages({ messages }: Requests): AsyncGenerator<Message, void, undefined> {
  yield* messages;
}

const limits = { maxMessageBytes: 64 * 1024 * 1024, maxDepth: 100 };

/** Whether an rpc takes one request and no stream. */
export function isSingle({ methodKind }: DescMethod): boolean {
  return methodKind === "unary" || methodKind === "server_streaming";
}

/**
 * The requests of a call. Without `--data` and fields, one that is empty, for streams those of standard input.
 *
 * @throws FlagError naming what is wrong with fields or JSON
 * @throws SetupError for a file that cannot be read
 */
export async function requestsOf(method: DescMethod, args: RequestArguments): Promise<Requests> {
  const { data, fields, registry } = args;
  if (!isSingle(method) && fields.length === 0 && (data === undefined || data === "@-")) {
    return { kind: "stdin", messages: messagesOf(method, process.stdin, registry) };
  }
  const messages: Message[] = [];
  if (data !== undefined) {
    const text = withoutComments(await textOf(data));
    for await (const message of messagesOf(method, [Buffer.from(text)], registry)) messages.push(message);
  }
  if (messages.length === 0 && (isSingle(method) || fields.length > 0)) messages.push(create(method.input));
  if (isSingle(method) && messages.length > 1) {
    throw new FlagError(`${method.name} takes one request, and --data has ${messages.length}`);
  }
  for (const message of messages) setFields(method.input, message, fields);
  return { kind: "known", messages };
}

async function textOf(data: string): Promise<string> {
  if (!data.startsWith("@")) return data;
  const name = data.slice(1);
  try {
    if (name !== "-") return await readFile(name, "utf8");
    const chunks: Uint8Array[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Uint8Array); // No encoding is set.
    return Buffer.concat(chunks).toString("utf8");
  } catch (cause) {
    throw new SetupError(`--data ${data}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

/** JSON without the comments that `--template` writes: those from `//` to the end of a line. */
export function withoutComments(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|\/\/[^\n]*/g, (part) => (part.startsWith("/") ? "" : part));
}

/** The messages of JSON texts one after another, each as soon as its text is whole. */
async function* messagesOf(
  method: DescMethod,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  registry: Registry,
): AsyncGenerator<Message, void, undefined> {
  const splitter = new JsonSplitter(limits);
  const reader = jsonReader(method.input, { registry, unknownFields: "reject" });
  let count = 0;
  const read = (bytes: Uint8Array): Message => {
    count++;
    try {
      return reader.readBytes(bytes);
    } catch (error) {
      throw notReadable(error, `request ${count} is no ${method.input.typeName}`, method.input);
    }
  };
  try {
    for await (const chunk of chunks) for (const text of splitter.push(chunk)) yield read(text);
    const last = splitter.finish();
    if (last !== undefined) yield read(last);
  } catch (error) {
    throw notReadable(error, "the requests are no JSON", method.input);
  }
}

function notReadable(error: unknown, what: string, schema: DescMessage): unknown {
  if (!(error instanceof ConnectError)) return error;
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const lines = violations.map(
    ({ field, description }) => `\n  ${field}: ${description}${nearestField(schema, field)}`,
  );
  return new FlagError(`${what}: ${lines.length === 0 ? error.rawMessage : lines.join("")}`, {
    cause: error,
  });
}
