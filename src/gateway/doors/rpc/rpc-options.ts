import type { Registry } from "@bufbuild/protobuf";
import type { Invoker } from "../../../core/call/invoker.ts";
import type { BindOptions } from "../../binding/bind-options.ts";
import type { ErrorWriter } from "../../http/error-writer.ts";
import type { BodyReader } from "../../http/request-body.ts";

/** Time limits of streamed bodies and answers. */
interface RpcTimeLimits {
  /** How long the body of a client or bidi stream may bring no byte, in milliseconds. Default: 60,000. */
  readonly bodyIdleMs: number;
  /** How long a client may take nothing of an answer that waits for it, in milliseconds. Default: 60,000. */
  readonly writeIdleMs: number;
  /**
   * How long the head of a streamed answer waits for the first message after the request is complete, in milliseconds.
   * After it, headers of the service come too late. Default: 500.
   */
  readonly headerFlushMs: number;
}

/** What the rpcs of Connect and gRPC-Web share. */
export interface RpcOptions
  extends
    RpcTimeLimits,
    Pick<BindOptions, "unknownFields" | "unknownEnums" | "maxJsonDepth" | "maxJsonEntries"> {
  readonly invoker: Invoker;
  readonly errors: ErrorWriter;
  readonly bodies: BodyReader;
  /** Types that `google.protobuf.Any` and error details may hold. */
  readonly registry: Registry | undefined;
  /** Hears of members of JSON that were ignored as unknown, as for REST. */
  readonly onIgnored?: ((route: string, place: "body", name: string) => void) | undefined;
  /** Request headers that become metadata although their names are withheld, such as `cookie`. */
  readonly forwardHeaders: readonly string[];
  /** Metadata of replies that never becomes an HTTP header. */
  readonly dropResponseHeaders: readonly string[];
  /** The largest message, in bytes, before and after decompression. */
  readonly maxBodyBytes: number;
  /** How long the body of a call with one request may take, in milliseconds. */
  readonly bodyTimeoutMs: number;
  /** Time for a unary call whose client sets none, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest time a client may ask for, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
}
