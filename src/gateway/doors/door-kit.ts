import type { Invoker } from "../../core/call/invoker.ts";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import type { BindOptions } from "../binding/bind-options.ts";
import type { ForBrowsers } from "../http/browsers/for-browsers.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { ReplyMetadata } from "../http/reply-metadata.ts";
import type { BodyLimits, BodyReader } from "../http/request-body.ts";
import type { RequestMetadata } from "../http/request-metadata.ts";
import type { TimeLimits } from "./deadline.ts";
import type { FormOptions } from "./options/form-options.ts";
import type { LongPollOptions } from "./options/poll-options.ts";
import type { RawBodyOptions } from "./options/raw-options.ts";
import type { StreamOptions } from "./options/stream-options.ts";
import type { WebSocketOptions } from "./options/websocket-options.ts";

/** What a call may cost. */
export interface CallLimits extends TimeLimits, BodyLimits {}

/** How the headers of requests and answers become metadata and the reverse. */
export interface MetadataOptions {
  /** Further request headers that become metadata. */
  readonly forwardHeaders: readonly string[];
  /** Metadata of replies that never becomes an HTTP header. */
  readonly dropResponseHeaders: readonly string[];
}

/** Options of the health paths. */
export interface HealthOptions {
  /** Whether `/healthz`, `/livez` and `/readyz` are served. */
  readonly healthPaths: boolean;
  /** How long the upstream may take to answer a health check, in milliseconds. */
  readonly healthTimeoutMs: number;
}

/** The options of a gateway that doors read, by what reads them. */
export interface DoorOptions {
  readonly limits: CallLimits;
  readonly json: JsonWriteOptions;
  readonly binding: BindOptions;
  readonly metadata: MetadataOptions;
  readonly streams: StreamOptions;
  readonly files: RawBodyOptions;
  readonly forms: FormOptions;
  readonly polling: LongPollOptions;
  readonly sockets: WebSocketOptions;
  readonly health: HealthOptions;
  /** Whether calls over the network are transcoded in bytes where nothing needs their messages. */
  readonly transcoding: "bytes" | "messages";
  /** Whether bodies of any content type are read as JSON. */
  readonly lenientContentType: boolean;
  /** Answers as another gateway has them. */
  readonly compat: "grpc-gateway" | undefined;
  /** Is called with parameters and fields that were ignored; `route` is the template. Undefined: they are not reported. */
  readonly onIgnored: ((route: string, place: "query" | "body", name: string) => void) | undefined;
}

/** What doors are made of. For one rpc (`ServedRpcs.kitOf`), limits, JSON and binding are those of that rpc. */
export interface DoorKit extends DoorOptions {
  /** Makes the calls of the rpcs: with interceptors, observed. */
  readonly invoker: Invoker;
  /** Asks the upstream for its health: neither intercepted nor observed. */
  readonly healthInvoker: Invoker;
  readonly errors: ErrorWriter;
  readonly requestMetadata: RequestMetadata;
  readonly replyMetadata: ReplyMetadata;
  readonly bodies: BodyReader;
  readonly browsers: ForBrowsers;
  /** Whether the server takes part in balancing: it has rpcs and does not drain. */
  readonly isReady: () => boolean;
}
