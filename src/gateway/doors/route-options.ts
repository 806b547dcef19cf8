import type { Registry } from "@bufbuild/protobuf";
import type { Invoker } from "../../core/call/invoker.ts";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import type { BindOptions } from "../binding/bind-options.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { ReplyMetadata } from "../http/reply-metadata.ts";
import type { BodyReader } from "../http/request-body.ts";
import type { RequestMetadata } from "../http/request-metadata.ts";

/** What the handlers of all routes share. */
export interface RouteOptions {
  readonly invoker: Invoker;
  readonly errors: ErrorWriter;
  readonly requestMetadata: RequestMetadata;
  readonly replyMetadata: ReplyMetadata;
  readonly bodies: BodyReader;
  readonly bind: Partial<BindOptions>;
  readonly json: Partial<JsonWriteOptions>;
  readonly registry: Registry | undefined;
  /** Whether callers that take bytes are given bytes. */
  readonly transcoding: "bytes" | "messages";
  /** Whether bodies of any content type are read as JSON. */
  readonly lenientContentType: boolean;
  /** Time for a call whose client sets none, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest time a client may ask for, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
}
