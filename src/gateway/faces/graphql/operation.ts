import type { DescMethodServerStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Reference } from "./reference.ts";

/** One operation, as resolvers see it: what they call is part of it. */
export interface Operation {
  /** Calls an rpc. @throws ConnectError */
  unary(method: DescMethodUnary, request: Message): Promise<Message>;
  /** Calls an rpc with the first `next()`. @throws ConnectError */
  stream(method: DescMethodServerStreaming, request: Message): AsyncIterable<Message>;
  /** What a key refers to; each key is asked for once. @throws ConnectError */
  load(reference: Reference, key: string): Promise<unknown>;
}
