import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { messageDecoder } from "../core/codec/binary-to-message.ts";
import type { CallContext, HandlerContext } from "../core/call/context.ts";
import type { Invoker } from "../core/call/invoker.ts";
import { rpcName } from "../core/call/service.ts";
import { type WriteReply, writeReply } from "../core/call/write-reply.ts";
import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { newRequestId } from "../core/metadata/request-id.ts";
import { type BodyReader, bodyReader, decodeBodyBytes, encodeBody } from "./body-codec.ts";
import type { BrokerDialOptions } from "./broker-dial-options.ts";
import { readReply } from "./call-reply.ts";
import { type ConsumedRpc, keyOf, sentCommand } from "./contract.ts";
import { checkedMessage } from "./event-draft.ts";
import { MessageMetadata } from "./message-metadata.ts";
import { type MadeMessage, type MessageParts, newMessage } from "./new-message.ts";
import type { OpenCalls } from "./open-calls.ts";
import { sentId } from "./sent-id.ts";
import { isReturned, noQueue } from "./publish-outcome.ts";

/** Where an invoker sends messages, and by what it calls. */
export interface InvokerRoute {
  /** The call that everything is part of; undefined: each message of the call that it is sent by. */
  readonly context?: HandlerContext | undefined;
  /** The name of the system, for errors and as protocol of its calls. */
  readonly system: string;
  /** Resolves when the message is stored. */
  send(message: MadeMessage, caller: CallContext): Promise<unknown>;
  /** Undefined where a message cannot be answered. */
  readonly calls: OpenCalls | undefined;
}

/** A reply of no fields in protobuf's binary form. */
const nothing = new Uint8Array(0);

/** The headers of the reply of a command. */
const accepted = (): Headers => new Headers({ "x-http-status": "202" });

/** What is known of an rpc that is called. */
interface SentRpc extends ConsumedRpc {
  readonly method: DescMethodUnary;
  readonly isCall: boolean;
  readonly replies: BodyReader;
}

/** Makes messages of calls: commands, which are answered when they are stored, and calls, whose reply is waited for. */
export class BrokerInvoker implements Invoker {
  readonly protocolName: string;
  readonly #route: InvokerRoute;
  readonly #options: BrokerDialOptions;
  readonly #parts: MessageParts;
  readonly #rpcs = new Map<DescMethodUnary, SentRpc>();

  constructor(route: InvokerRoute, options: BrokerDialOptions, wallMs: () => number = Date.now) {
    this.protocolName = route.system;
    this.#route = route;
    this.#options = options;
    const metadata = new MessageMetadata("dial", options.forwardHeaders);
    this.#parts = { system: route.system, options, metadata, newId: newRequestId, wallMs };
  }

  async unary<T = Message>(
    method: DescMethodUnary,
    request: Message,
    context: CallContext,
    write?: WriteReply<T>,
  ): Promise<T> {
    const reply = await this.#run(method, request, context);
    return writeReply(method, write, messageDecoder(method.output)(reply));
  }

  async unaryBytes<T>(
    method: DescMethodUnary,
    request: Message | Uint8Array,
    context: CallContext,
    read: (reply: Uint8Array) => T,
  ): Promise<T> {
    return read(await this.#run(method, request, context));
  }

  // oxlint-disable-next-line require-yield -- its callers expect a generator
  async *stream<T = Message>(method: DescMethodStreaming): AsyncGenerator<T, void, undefined> {
    throw new ConnectError(
      `${rpcName(method)} is a stream: brokers carry unary rpcs alone`,
      Code.Unimplemented,
    );
  }

  /** The protobuf bytes of the reply. */
  async #run(
    method: DescMethodUnary,
    request: Message | Uint8Array,
    context: CallContext,
  ): Promise<Uint8Array> {
    if (context.reason !== undefined) throw context.reason;
    const rpc = this.#rpcOf(method);
    if (rpc.isCall) return this.#call(rpc, request, context);
    const message = this.#message(rpc, request, context, undefined);
    try {
      await this.#route.send(message, context);
    } catch (reason) {
      throw notStored(named(toCallError(reason), rpc));
    }
    // What came by HTTP is accepted, and not done yet.
    context.receiveHeader(accepted);
    return nothing;
  }

  async #call(rpc: SentRpc, request: Message | Uint8Array, context: CallContext): Promise<Uint8Array> {
    const { calls, system } = this.#route;
    if (calls === undefined) {
      throw new ConnectError(
        `${system} carries no replies: mark ${rpc.name} one_way or dial it over gRPC`,
        Code.Unimplemented,
      );
    }
    const timeoutMs = calls.timeoutMs(context.timeoutMs());
    const { message, span } = this.#message(rpc, request, context, timeoutMs);
    const reply = await calls.run(message, timeoutMs, context).catch((reason: unknown) => {
      const failure = named(toCallError(reason), rpc);
      span?.end(failure);
      throw failure;
    });
    span?.end(undefined);
    const { error, data, headers, trailers } = readReply(reply);
    if (error !== undefined) throw error;
    context.receiveHeader(headers);
    context.receiveTrailer(trailers);
    // The size is the callee's affair, as the broker has carried it.
    const read = await decodeBodyBytes(rpc.replies, data, { maxMessageBytes: Infinity, framing: "none" });
    if (read.kind === "message") return read.value;
    throw new ConnectError(`the reply of ${rpc.name} cannot be read: ${read.why}`, Code.Internal);
  }

  #message(
    rpc: SentRpc,
    request: Message | Uint8Array,
    context: CallContext,
    expiresAfterMs: number | undefined,
  ): MadeMessage {
    const { encoding, registry } = this.#options;
    const { input } = rpc.method;
    const isPlain = request instanceof Uint8Array && rpc.key === undefined && encoding === "protobuf";
    const message = isPlain ? undefined : messageOf(rpc, request);
    const id = sentId(rpc.name, context.requestField("idempotency-key"), context);
    const caller = this.#route.context ?? context;
    const { contentType, body } =
      message === undefined
        ? { contentType: "application/protobuf", body: request as Uint8Array } // As `isPlain` says.
        : encodeBody(input, message, encoding, registry);
    return newMessage(this.#parts, {
      topic: rpc.topic,
      type: rpc.type,
      key: message && keyOf(rpc, message),
      subject: undefined,
      expiresAfterMs,
      contentType,
      body,
      mandatory: true,
      given: id === undefined ? { context: caller } : { context: caller, id },
      callHeaders: (take) => context.eachRequestHeader(take),
    });
  }

  #rpcOf(method: DescMethodUnary): SentRpc {
    const known = this.#rpcs.get(method);
    if (known !== undefined) return known;
    const rpc = sentCommand(method);
    if (rpc === undefined) {
      throw new ConnectError(
        `${rpcName(method)} is not marked (ts_ms.v1.consume): it cannot be called through a broker`,
        Code.Unimplemented,
      );
    }
    if (rpc.kind === "event") {
      throw new ConnectError(
        `${rpc.name} reads the event ${rpc.type}, which every group gets: publish it by createPublisher`,
        Code.Unimplemented,
      );
    }
    const { call } = this.#options;
    const isCall = call === "always" || (call === "auto" && !rpc.oneWay);
    const made = { ...rpc, method, isCall, replies: bodyReader(method.output) };
    this.#rpcs.set(method, made);
    return made;
  }
}

function messageOf(rpc: SentRpc, request: Message | Uint8Array): Message {
  const { input } = rpc.method;
  if (!(request instanceof Uint8Array)) return checkedMessage(input, request);
  return messageDecoder(input)(request);
}

/** That its deadline has passed says less than whether it may be stored, which is in the text. */
function notStored(error: ConnectError): ConnectError {
  if (error.code !== Code.DeadlineExceeded) return error;
  return new ConnectError(error.rawMessage, Code.Unavailable, undefined, undefined, error);
}

/** Brokers say which topic no queue takes: the caller knows its service. */
function named(error: ConnectError, rpc: ConsumedRpc): ConnectError {
  return isReturned(error) ? noQueue(rpc.method.parent.typeName, error.code, error) : error;
}
