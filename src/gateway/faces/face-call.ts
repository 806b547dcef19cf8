import type { DescMethod, Message } from "@bufbuild/protobuf";
import type { DoorName } from "../../core/admission/call-head.ts";
import type { ReadReplies, RequestBatch } from "../../core/call/batches.ts";
import type { CallContext } from "../../core/call/context.ts";
import type { WriteReply } from "../../core/call/write-reply.ts";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import type { BindOptions } from "../binding/bind-options.ts";
import type { HttpExchange } from "../http/exchange.ts";
import type { CallGroup } from "./call-group.ts";

/** The protocols by which faces call rpcs, as policies, limits, logs and metrics name them. */
export type FaceProtocol = Extract<DoorName, "graphql" | "mcp">;

/**
 * How a face calls one rpc: by the chain of every door, with its deadlines, gates, checks of messages, interceptors and
 * observers. Compiled once for each contract.
 */
export interface FaceRpc {
  readonly method: DescMethod;
  /** How replies look in JSON, with the types that `Any` may contain. */
  readonly json: JsonWriteOptions;
  /** How requests are read, with the same types. */
  readonly binding: BindOptions;
  /** Whether calls can be made in protobuf's binary form, without messages. */
  readonly takesBytes: boolean;
  /**
   * Begins a call: with the deadline, the forwarded headers, the identity, the id and the trace of its request. It is
   * cancelled when the client leaves. `end` of what it returns must be called.
   *
   * @param from the exchange whose one call it is, or the group of calls that it is one of
   * @throws ConnectError INVALID_ARGUMENT for a header of the request that cannot be read
   */
  begin(from: HttpExchange | CallGroup): FaceCall;
}

/**
 * One call of a face, in this order: `admitted`, then one of the functions that call the rpc, at any error `fail`, and
 * `end` in every case.
 */
export interface FaceCall {
  /** The call as handlers see it. `abort` cancels it, `race` ends waits with it. */
  readonly context: CallContext;
  /**
   * Asks the gates, before the message of the request is read. Returns undefined for a call that may go on at once.
   *
   * @throws ConnectError, or rejects with it, for a call that is refused
   */
  admitted(): Promise<void> | undefined;
  /**
   * Calls a unary rpc.
   *
   * @param write turns the reply into the result, as part of the call. Default: the reply itself
   * @throws ConnectError, by which it rejects
   */
  unary<T = Message>(request: Message, write?: WriteReply<T>): Promise<T>;
  /**
   * As `unary`, where `takesBytes`: the reply is in protobuf's binary form, the request in either form.
   *
   * @param read turns the bytes of the reply, which are not modified later, into the result
   */
  unaryBytes<T>(request: Message | Uint8Array, read: (reply: Uint8Array) => T): Promise<T>;
  /**
   * Calls an rpc of any kind, with the first `next()`; yields the result of `write` for each reply. Ending the iteration
   * early cancels the call.
   *
   * @param write as for `unary`
   */
  stream<T = Message>(
    requests: AsyncIterable<Message>,
    write?: WriteReply<T>,
  ): AsyncGenerator<T, void, undefined>;
  /** As `stream`, where `takesBytes`: in binary form and in batches. Yields the results of `read`. */
  streamBytes<T>(
    requests: AsyncIterable<RequestBatch>,
    read: ReadReplies<T>,
  ): AsyncGenerator<T, void, undefined>;
  /**
   * Must be called with anything thrown by the functions above or by what reads the request: writes unexpected
   * exceptions to the log and lets observers know.
   *
   * @returns the error that the client gets
   */
  fail(reason: unknown): ConnectError;
  /** The call is over: releases what it holds. Idempotent. */
  end(): void;
}
