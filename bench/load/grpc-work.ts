import { grpcMessage } from "./http2-frames.ts";

/** A gRPC call of any kind and its expected reply. */
export interface GrpcWork {
  /** `/package.Service/Method` */
  readonly path: string;
  /** The message of the request, or its messages. */
  readonly request: Uint8Array | readonly Uint8Array[];
  /** The message of the reply, or its messages. */
  readonly answer: Uint8Array | readonly Uint8Array[];
  /**
   * Whether other bytes encode the same message of the request, since serializers may order fields differently. Default:
   * never.
   */
  readonly isRequest?: (bytes: Uint8Array, index: number) => boolean;
  /** Whether every request of any rpc has this reply: for requests with a time in them. Default: it has not. */
  readonly isForAll?: boolean;
}

/** The messages of a request or a reply. */
export function messagesOf(one: GrpcWork["request"]): readonly Uint8Array[] {
  return one instanceof Uint8Array ? [one] : one;
}

/** The bytes of a request or a reply: each message behind its prefix. */
export function grpcBytes(one: GrpcWork["request"]): Buffer {
  return Buffer.concat(messagesOf(one).map((message) => grpcMessage(message)));
}
