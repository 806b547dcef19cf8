import type { DescMethodServerStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Sink } from "../../../core/call/layered-stream.ts";
import type { Reference } from "./reference.ts";

/** One operation, as resolvers see it: what they call is part of it. */
export interface Operation {
  /** Calls an rpc. @throws ConnectError */
  unary(method: DescMethodUnary, request: Message): Promise<Message>;
  /**
   * The reply for a field at the root of the operation; the rpc is called where it was not yet.
   *
   * @param key name of the field in the result
   * @throws ConnectError
   */
  root(key: string, method: DescMethodUnary, requestOf: () => Message): Promise<Message>;
  /** Calls an rpc with the first `next()`. @throws ConnectError */
  stream(method: DescMethodServerStreaming, request: Message): EventStream<Message>;
  /** What a key refers to; each key is asked for once. @throws ConnectError */
  load(reference: Reference, key: string): Promise<unknown>;
}

/** Events one after the other: by `next`, or all to one function. */
export interface EventStream<Event> extends AsyncIterableIterator<Event> {
  /**
   * As `for await` with `sink` for each event, with less work for each. Resolves at the end, also at that by `return`.
   *
   * @param sink never throws or rejects
   */
  passAll(sink: Sink<Event>): Promise<void>;
}
