import type { DescMethod } from "@bufbuild/protobuf";
import type { Admission } from "../../core/admission/admission.ts";
import type { ClientAddresses } from "../../core/admission/client-address.ts";
import type { ServerBook } from "../../core/admission/connection-book.ts";
import type { GateDocument } from "../../core/admission/gate.ts";
import type { CallReports } from "../../core/admission/call-reports.ts";
import type { Invoker } from "../../core/call/invoker.ts";
import type { RequestIds } from "../../core/metadata/request-id.ts";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import type { CallObserver } from "../../core/call/observer.ts";
import type { Validation } from "../../core/validation/validation.ts";
import type { Comments } from "../../core/contract/comments.ts";
import type { FaceSet } from "../faces/face-set.ts";
import type { BindOptions } from "../binding/bind-options.ts";
import type { ForBrowsers } from "../http/browsers/for-browsers.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { ReplyMetadata } from "../http/reply-metadata.ts";
import type { BodyLimits, BodyReader } from "../http/request-body.ts";
import type { ServedFiles } from "../http/served-files.ts";
import type { RequestMetadata } from "../http/request-metadata.ts";
import type { TimeLimits } from "./deadline.ts";
import type { CallKind } from "./open-call.ts";
import type { FormOptions } from "./options/form-options.ts";
import type { LongPollOptions } from "./options/poll-options.ts";
import type { RawBodyOptions } from "./options/raw-options.ts";
import type { StreamOptions } from "./options/stream-options.ts";
import type { WebSocketOptions } from "./options/websocket-options.ts";

/** Limits of calls. */
export interface CallLimits extends TimeLimits, BodyLimits {}

/** Options of the conversion between HTTP headers and metadata. */
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

/** The options of a gateway that doors read, grouped by their readers. */
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
  /** Gives calls their ids where a request holds several; undefined where the server gives none. */
  readonly requestIds: RequestIds | undefined;
  /** Whether calls over the network are transcoded as bytes if no feature needs their messages. */
  readonly transcoding: "bytes" | "messages";
  /** Whether bodies of any content type are read as JSON. */
  readonly lenientContentType: boolean;
  /** Answers in the format of another gateway. */
  readonly compat: "grpc-gateway" | undefined;
  /** Called with ignored parameters and fields; `route` is the template. Undefined: they are not reported. */
  readonly onIgnored: ((route: string, place: "query" | "body", name: string) => void) | undefined;
}

/**
 * The options and shared objects of a gateway for its doors. In the kit of one rpc (`ServedRpcs.kitOf`), limits, JSON
 * and binding are those of that rpc.
 */
export interface DoorKit extends DoorOptions {
  /** Asks the gates about calls; undefined without gates. */
  readonly admission: Admission | undefined;
  /** The live connections in the book of a hub; undefined for none. */
  readonly book: ServerBook | undefined;
  /** Finds the addresses of clients. */
  readonly addresses: ClientAddresses;
  /** The document of a gate at a path; undefined where no gate has documents. */
  readonly gateDocuments: ((path: string) => GateDocument | undefined) | undefined;
  /** Documents about the rpcs and further ways to call them; undefined for none. */
  readonly faces: FaceSet | undefined;
  /** Reads the comments of the contract, for faces. */
  readonly comments: () => Promise<Comments>;
  /** Files that are served where no rpc is; undefined for none. */
  readonly pages: ServedFiles | undefined;
  /** Tells observers when calls arrive and are answered; undefined where none is told. */
  readonly reports: CallReports | undefined;
  /** Calls rpcs, with interceptors and observers. */
  readonly invoker: Invoker;
  /** Notified of calls that are refused before their handler. */
  readonly observers: readonly CallObserver[];
  /** Checks of messages by the rules of their contract; in the kit of one rpc `invoker` makes them. */
  readonly validation: Validation | undefined;
  /** Calls the health service of the upstream, without interceptors and observers. */
  readonly healthInvoker: Invoker;
  readonly errors: ErrorWriter;
  readonly requestMetadata: RequestMetadata;
  readonly replyMetadata: ReplyMetadata;
  readonly bodies: BodyReader;
  readonly browsers: ForBrowsers;
  /** Whether the server is ready for traffic: it has rpcs and does not drain. */
  readonly isReady: () => boolean;
}

/** What all calls of one rpc by one protocol have in common; `kit` is that of the rpc. */
export function callKind(method: DescMethod, protocolName: string, kit: DoorKit): CallKind {
  const { limits, admission, observers, reports, book } = kit;
  return {
    method,
    protocolName,
    limits,
    observers,
    reports,
    countsBytes: book !== undefined && method.methodKind !== "unary",
    admit: admission?.of(method, limits.defaultTimeoutMs),
  };
}
