import type { JsonObject, Message } from "@bufbuild/protobuf";
import { messageDecoder } from "../../../core/codec/binary-to-message.ts";
import { HttpBodySchema } from "../../../../gen/google/api/httpbody_pb.ts";
import { inBatches, readEach } from "../../../core/call/batches.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { asHttpBody, isHttpBody } from "../../binding/http-body.ts";
import type { HttpExchange } from "../../http/exchange.ts";
import type { CallGroup } from "../call-group.ts";
import type { FaceCall, FaceRpc } from "../face-call.ts";
import { argumentReader } from "./arguments.ts";
import type { Shows } from "../shown-message.ts";
import type { RawJson } from "./json-rpc.ts";
import type { McpOptions } from "./mcp-options.ts";
import { replyText } from "./reply-text.ts";
import { bodyContent } from "./results.ts";
import { hasOneMessage } from "./rpc-tool.ts";
import { type Gathered, gather } from "./stream-result.ts";
import { isObjectMessage, wrapper } from "./wrapped-messages.ts";

/** What a call has given: an object in JSON, a content that is no message, or the reason why there is no result. */
export type ToolOutcome =
  | { readonly kind: "object"; readonly json: string }
  | { readonly kind: "content"; readonly content: JsonObject }
  | { readonly kind: "refused"; readonly text: string }
  | { readonly kind: "failed"; readonly error: ConnectError };

/** One call of a tool. */
export interface ToolRun {
  readonly from: HttpExchange | CallGroup;
  readonly args: RawJson | undefined;
  /** Is told of the call once it has begun, to cancel it. */
  readonly began: (call: FaceCall) => void;
  /** Is told of each message of a stream: how many have come. A promise makes the stream wait. */
  readonly progress: ((count: number) => Promise<void> | undefined) | undefined;
}

/** Calls a tool. Never rejects. */
export type ToolRunner = (run: ToolRun) => Promise<ToolOutcome>;

type Limits = Pick<McpOptions, "maxResultBytes" | "maxMessages" | "maxStreamMs">;

/** Compiles the calls of one tool. @param uri that of results which are bodies */
export function toolRunner(rpc: FaceRpc, shows: Shows, limits: Limits, uri: string): ToolRunner {
  const { method } = rpc;
  const invoke = hasOneMessage(method)
    ? single(rpc, shows, limits)
    : isHttpBody(method.output)
      ? bodies(rpc, shows, limits, uri)
      : several(rpc, shows, limits);
  return async (run) => {
    let call: FaceCall | undefined;
    try {
      call = rpc.begin(run.from);
      run.began(call);
      const admitted = call.admitted();
      if (admitted !== undefined) await admitted;
      return await invoke(call, run);
    } catch (reason) {
      if (call === undefined) return { kind: "failed", error: toError(reason) };
      return { kind: "failed", error: call.fail(reason) };
    } finally {
      call?.end();
    }
  };
}

type Invoke = (call: FaceCall, run: ToolRun) => Promise<ToolOutcome>;

function toError(reason: unknown): ConnectError {
  return ConnectError.from(reason, Code.Internal);
}

/** An rpc with one reply. */
function single(rpc: FaceRpc, shows: Shows, limits: Limits): Invoke {
  const { method, takesBytes } = rpc;
  const reader = argumentReader(rpc, shows);
  const { write, read } = replyText(rpc, shows);
  const isObject = isObjectMessage(method.output);
  const run =
    method.methodKind === "unary"
      ? (call: FaceCall, args: RawJson | undefined) => {
          const request = reader.one(args);
          // Without `takesBytes` readers make messages.
          return takesBytes ? call.unaryBytes(request, read) : call.unary(request as Message, write);
        }
      : async (call: FaceCall, args: RawJson | undefined) => {
          for await (const text of replies(rpc, call, reader.many(args), write, read)) return text;
          throw new ConnectError("the rpc has given no reply", Code.Internal);
        };
  return async (call, { args }) => {
    const json = await run(call, args);
    const bytes = Buffer.byteLength(json);
    if (bytes > limits.maxResultBytes) return tooLarge(rpc, bytes, limits);
    return { kind: "object", json: isObject ? json : `{"${wrapper.value}":${json}}` };
  };
}

/** An rpc with a stream of replies: those that come within the limits. */
function several(rpc: FaceRpc, shows: Shows, limits: Limits): Invoke {
  const reader = argumentReader(rpc, shows);
  const { write, read } = replyText(rpc, shows);
  const { maxResultBytes, maxMessages, maxStreamMs } = limits;
  return async (call, { args, progress }) => {
    const requests = requestsOf(rpc, reader, args);
    const stream = replies(rpc, call, requests, write, read);
    const gathered: Gathered = await gather(call, stream, {
      maxBytes: maxResultBytes,
      maxMessages,
      maxMs: maxStreamMs,
      progress,
    });
    const { texts, more, tooLargeBytes } = gathered;
    if (texts.length === 0 && tooLargeBytes !== undefined) return tooLarge(rpc, tooLargeBytes, limits);
    return { kind: "object", json: `{"${wrapper.messages}":[${texts.join(",")}],"${wrapper.more}":${more}}` };
  };
}

/** An rpc whose replies are raw bodies: one, or the pieces of one. */
function bodies(rpc: FaceRpc, shows: Shows, limits: Limits, uri: string): Invoke {
  const reader = argumentReader(rpc, shows);
  const decode = messageDecoder(HttpBodySchema);
  const write = (reply: Message): Message => reply;
  return async (call, { args, progress }) => {
    const requests = requestsOf(rpc, reader, args);
    const parts: Uint8Array[] = [];
    let contentType = "";
    let bytes = 0;
    for await (const reply of replies(rpc, call, requests, write, decode)) {
      const body = asHttpBody(reply);
      contentType ||= body.contentType;
      bytes += body.data.length;
      if (bytes > limits.maxResultBytes) return tooLarge(rpc, bytes, limits);
      parts.push(body.data);
      const waiting = progress?.(parts.length);
      if (waiting !== undefined) await call.context.race(waiting);
    }
    return { kind: "content", content: bodyContent({ contentType, data: Buffer.concat(parts) }, uri) };
  };
}

function requestsOf(
  { method: { methodKind } }: FaceRpc,
  reader: ReturnType<typeof argumentReader>,
  args: RawJson | undefined,
): readonly (Message | Uint8Array)[] {
  return methodKind === "unary" || methodKind === "server_streaming" ? [reader.one(args)] : reader.many(args);
}

/** The replies of an rpc of any kind, by bytes where that can be. */
async function* replies<T>(
  { takesBytes }: FaceRpc,
  call: FaceCall,
  requests: readonly (Message | Uint8Array)[],
  write: (reply: Message) => T,
  read: (reply: Uint8Array) => T,
): AsyncGenerator<T, void, undefined> {
  if (!takesBytes) {
    yield* call.stream(each(requests as readonly Message[]), write); // Readers make messages then.
    return;
  }
  const batches = call.streamBytes(inBatches(each(requests)), (batch) => readEach(batch, read));
  for await (const results of batches) yield* results;
}

async function* each<T>(items: readonly T[]): AsyncGenerator<T, void, undefined> {
  yield* items;
}

const limiting = /^(?:page_?size|limit|max_?results|count|filter|fields|(?:read|field|view)_?mask|view)$/i;

function tooLarge({ method }: FaceRpc, bytes: number, { maxResultBytes }: Limits): ToolOutcome {
  const names = method.input.fields.map(({ jsonName }) => jsonName).filter((name) => limiting.test(name));
  const cure = names.length === 0 ? "ask for less" : `ask for less by ${names.join(", ")}`;
  return {
    kind: "refused",
    text: `the result has ${bytes} bytes, more than the ${maxResultBytes} that one may have: ${cure}`,
  };
}
