import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Admit } from "../core/admission/admission.ts";
import type { CallSource } from "../core/admission/arrived-call.ts";
import { CallContext } from "../core/call/context.ts";
import type { Invoker } from "../core/call/invoker.ts";
import { messageTracing, type MessageTracer } from "../core/call/message-trace.ts";
import { binaryWriter } from "../core/codec/message-to-binary.ts";
import { type ConnectError, toCallError } from "../core/errors/errors.ts";
import { givePrincipal, type Principal } from "../core/security/principal.ts";
import { type BodyOptions, bodyReader, decodeBody, decodeBodyBytes, type DecodedBody } from "./body-codec.ts";
import type { Consumed } from "./consumed.ts";
import type { ConsumedRpc } from "./contract.ts";
import { type ConsumedMessage, messageKey } from "./message-context.ts";
import type { MessageMetadata } from "./message-metadata.ts";

/** What the calls of a server have in common. */
export interface CallParts {
  readonly invoker: Invoker;
  /** The broker's system. */
  readonly protocolName: string;
  readonly group: string;
  readonly identity: Principal | ((message: ConsumedMessage) => Principal | undefined) | undefined;
  /** Selects the headers of messages that become metadata. */
  readonly metadata: MessageMetadata;
  readonly body: BodyOptions;
}

/** How a call of messages has ended. */
export type CallEnd =
  /** The protobuf bytes of the reply, where they were asked for. */
  | { readonly kind: "ok"; readonly reply: Uint8Array | undefined }
  | { readonly kind: "failed"; readonly error: ConnectError }
  /** A gate has not admitted it, or who makes the call cannot be said. */
  | { readonly kind: "refused"; readonly error: ConnectError }
  /** These bodies cannot be read; nothing was run. */
  | {
      readonly kind: "unreadable";
      readonly messages: ReadonlyMap<Consumed, Extract<DecodedBody<unknown>, { why: string }>>;
    };

/** The calls of one rpc. */
export class MessageCaller {
  readonly rpc: ConsumedRpc;
  readonly #parts: CallParts;
  #admit: Admit | undefined;
  readonly #run: Run;

  constructor(rpc: ConsumedRpc, parts: CallParts, admit: Admit | undefined) {
    this.rpc = rpc;
    this.#parts = parts;
    this.#admit = admit;
    this.#run = runOf(rpc, parts);
  }

  /** Calls that begin from now on are admitted by other gates; undefined without any. */
  admitBy(admit: Admit | undefined): void {
    this.#admit = admit;
  }

  /**
   * The context of a call that handles these messages. The caller must call its `end`.
   *
   * @param timeoutMs how long it may take
   */
  open(messages: readonly Consumed[], timeoutMs: number): CallContext {
    const { protocolName, metadata } = this.#parts;
    const [first] = messages;
    const context = new CallContext({
      method: this.rpc.method,
      protocolName,
      // Made when they are first read: by then the span of the run is known, which they name.
      requestHeader: () => (first === undefined ? new Headers() : metadata.of(first.headers)),
      timeoutMs,
    });
    if (first !== undefined) context.values.set(messageKey, this.#messageOf(first));
    return context;
  }

  /** Calls the rpc. Never rejects. @param isAnswered whether the reply is of interest */
  async call(messages: readonly Consumed[], context: CallContext, isAnswered: boolean): Promise<CallEnd> {
    const endSpan = this.#beginSpan(messages, context);
    let end: CallEnd;
    try {
      this.#identify(context);
      const admitted = this.#admit?.("queue", sourceOf(context), context);
      if (admitted !== undefined) await admitted;
      end = await this.#run(messages, context, isAnswered);
    } catch (reason) {
      const error = toCallError(reason);
      end = { kind: error === context.reason ? "failed" : "refused", error };
    }
    endSpan?.("error" in end ? end.error : undefined);
    return end;
  }

  /** The span of a run; undefined while traces are off. */
  #beginSpan(
    messages: readonly Consumed[],
    context: CallContext,
  ): ReturnType<MessageTracer["process"]> | undefined {
    const { tracer } = messageTracing;
    if (tracer === undefined) return undefined;
    const { protocolName: system, group } = this.#parts;
    const [first] = messages;
    return tracer.process(context, {
      system,
      topic: this.rpc.topic,
      id: first?.event?.id ?? "",
      group,
      partition: first?.delivery.partition,
      headers: messages.map(({ headers }) => headers),
    });
  }

  /** Says who makes the call: the server does, no message. */
  #identify(context: CallContext): void {
    const { identity } = this.#parts;
    if (identity === undefined) return;
    const message = context.values.get(messageKey);
    const who = typeof identity === "function" && message !== undefined ? identity(message) : identity;
    if (who !== undefined && typeof who !== "function") givePrincipal(context, who);
  }

  #messageOf({ event, headers, key, delivery, attempts }: Consumed): ConsumedMessage {
    const { partition, offset, redelivered } = delivery;
    return {
      id: event?.id ?? "",
      source: event?.source ?? "",
      type: event?.type ?? "",
      subject: event?.subject,
      timeMs: event?.timeMs,
      extensions: event?.extensions ?? new Map(),
      key,
      topic: this.rpc.topic,
      group: this.#parts.group,
      partition,
      offset,
      attempt: attempts + 1,
      redelivered,
      headers,
    };
  }
}

/** The head of a call as gates see it: the metadata, of which nothing says who the caller is. */
function sourceOf(context: CallContext): CallSource {
  return {
    head: { method: "POST", url: context.url, headers: Object.fromEntries(context.requestHeader) },
    isSecure: false,
    remoteAddress: undefined,
  };
}

type Run = (messages: readonly Consumed[], context: CallContext, isAnswered: boolean) => Promise<CallEnd>;

/** Compiles the call itself. It throws what is no answer of the rpc. */
function runOf(rpc: ConsumedRpc, parts: CallParts): Run {
  const { invoker, body } = parts;
  const { method } = rpc;
  const options = rpc.framing === undefined ? body : { ...body, framing: rpc.framing };
  const reader = bodyReader(rpc.schema, body.json);
  if (method.methodKind === "client_streaming") {
    const streaming = method as DescMethodStreaming; // By its kind.
    const decode = (message: Consumed) => decodeBody(reader, dataOf(message), options);
    return (messages, context) =>
      withBodies(messages, decode, (values) => callStream(invoker, streaming, values, context));
  }
  const unary = method as DescMethodUnary; // Contracts with others are refused.
  const unaryBytes = invoker.unaryBytes?.bind(invoker);
  if (unaryBytes === undefined) {
    const decode = (message: Consumed) => decodeBody(reader, dataOf(message), options);
    const write = binaryWriter(method.output);
    return (messages, context, isAnswered) =>
      withBodies(messages, decode, async ([value]) => {
        if (value === undefined) return undefined;
        if (isAnswered) return invoker.unary(unary, value, context, write);
        await invoker.unary(unary, value, context);
        return undefined;
      });
  }
  const decode = (message: Consumed) => decodeBodyBytes(reader, dataOf(message), options);
  return (messages, context, isAnswered) =>
    withBodies(messages, decode, ([value]) =>
      value === undefined ? undefined : unaryBytes(unary, value, context, isAnswered ? same : nothing),
    );
}

async function withBodies<T>(
  messages: readonly Consumed[],
  decode: (message: Consumed) => DecodedBody<T> | Promise<DecodedBody<T>>,
  call: (values: readonly T[]) => Promise<Uint8Array | undefined> | undefined,
): Promise<CallEnd> {
  const values: T[] = [];
  let unreadable: Map<Consumed, Extract<DecodedBody<unknown>, { why: string }>> | undefined;
  for (const message of messages) {
    const decoding = decode(message);
    const decoded = decoding instanceof Promise ? await decoding : decoding;
    if (decoded.kind === "message") values.push(decoded.value);
    else (unreadable ??= new Map()).set(message, decoded);
  }
  if (unreadable !== undefined) return { kind: "unreadable", messages: unreadable };
  try {
    return { kind: "ok", reply: await call(values) };
  } catch (reason) {
    return { kind: "failed", error: toCallError(reason) };
  }
}

async function callStream(
  invoker: Invoker,
  method: DescMethodStreaming,
  values: readonly Message[],
  context: CallContext,
): Promise<undefined> {
  for await (const reply of invoker.stream(method, inOrder(values), context)) void reply;
}

async function* inOrder(values: readonly Message[]): AsyncGenerator<Message> {
  yield* values;
}

function dataOf({ fate, delivery }: Consumed): Parameters<typeof decodeBody>[1] {
  return fate.kind === "run" ? fate.data : delivery.message;
}

function same(reply: Uint8Array): Uint8Array {
  return reply;
}

function nothing(): undefined {}
