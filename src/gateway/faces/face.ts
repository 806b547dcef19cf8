import type { DescMethod, DescService, Registry } from "@bufbuild/protobuf";
import type { Gate, GateDocument } from "../../core/admission/gate.ts";
import type { JsonWriteOptions } from "../../core/codec/message-to-json.ts";
import type { Comments } from "../../core/contract/comments.ts";
import type { Route } from "../../core/http-rule/route.ts";
import type { OpenConnection } from "../../core/net/open-connections.ts";
import type { CallWatcher } from "../../core/telemetry/call-books.ts";
import type { StopReport } from "../../core/lifecycle/lifecycle.ts";
import type { ErrorFormat } from "../http/error-body.ts";
import type { ErrorWriter } from "../http/error-writer.ts";
import type { HttpExchange, RequestHead } from "../http/exchange.ts";
import type { HttpObserver } from "../http/http-observer.ts";
import type { BodyReader } from "../http/request-body.ts";
import type { Router } from "../routing/router.ts";
import type { FaceProtocol, FaceRpc } from "./face-call.ts";
import type { FacePage } from "./face-pages.ts";
import type { FaceSocketPath } from "./face-socket.ts";

/** Services, types and routes of one moment. */
export interface Contract {
  readonly services: readonly DescService[];
  /** Types that `google.protobuf.Any` may contain, beside the standard ones; undefined for no others. */
  readonly registry: Registry | undefined;
  /** The routes that can match, in the order of the contract. */
  readonly routes: readonly Route[];
  /** Reads the comments of the contract; once, when a document is first asked for. */
  readonly comments: () => Promise<Comments>;
  /** Finds the route of a request. */
  readonly router: Pick<Router, "match">;
  /** Compiles how a face calls an rpc. A face keeps what it gets. @throws SetupError for rules of its messages that are wrong */
  readonly rpc: (method: DescMethod, protocol: FaceProtocol) => FaceRpc;
}

/** Options of a server that may change while it serves. */
export interface LiveFaceOptions {
  /** Origins of pages beside those of the server itself, for `OriginCheck`. */
  readonly allowedOrigins: readonly string[];
  /** How long a client may read nothing while bytes wait for it, in milliseconds. */
  readonly writeIdleMs: number;
  /** How long a call may take whose client sets no time, in milliseconds; 0 for any. */
  readonly defaultTimeoutMs: number;
  /** What decides on calls. */
  readonly gates: readonly Gate[];
}

/** What a face knows of its server. */
export interface FaceHost {
  /** How messages look in JSON. */
  readonly json: Pick<JsonWriteOptions, "fieldNames" | "enums" | "defaults" | "int64">;
  readonly unknownFields: "ignore" | "reject";
  readonly unknownQuery: "ignore" | "reject";
  readonly errorFormat: ErrorFormat;
  /** Whether streams are answered in the format of another gateway. */
  readonly compat: "grpc-gateway" | undefined;
  /** How an array of messages ends that an error has cut short. */
  readonly arrayError: "truncate" | "element";
  /** Whether replies to GET have an ETag. */
  readonly etag: boolean;
  readonly webSockets: boolean;
  /** Path of the socket with many calls; undefined where there is none. */
  readonly multiplexPath: string | undefined;
  /** The deadline of calls that ask for none, and the longest that they may ask for, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  readonly maxTimeoutMs: number;
  readonly maxBodyBytes: number;
  /** Reads bodies of requests within the limits of the server. */
  readonly bodies: BodyReader;
  /** Answers with errors, and makes errors of exceptions. */
  readonly errors: ErrorWriter;
  /** Host names that requests may have, undefined for any. */
  readonly allowedHosts: readonly string[] | undefined;
  /** How often an idle answer in parts sends something, in milliseconds; 0 for never. */
  readonly heartbeatMs: number;
  /** Told of what happens to requests of faces. */
  readonly httpObservers: readonly HttpObserver[];
  /** Whether the server listens on a loopback address alone. */
  readonly isLocal: () => boolean;
  /** The document of a gate at a path, such as where tokens come from; undefined for none. */
  readonly document: (path: string) => GateDocument | undefined;
  /** Options that a reload may change, as they are now. */
  readonly live: () => LiveFaceOptions;
  /** The open connections of the server's port; those are kept only where a face has a `watcher`. */
  readonly connections: () => readonly OpenConnection[];
  /** What stands in front of all paths, where the server is a plugin of an app; else empty. Known when it has started. */
  readonly prefix: () => string;
}

/** What answers the requests for one path of a face. */
export interface FacePath {
  /** The HTTP methods that it takes, without OPTIONS. */
  readonly methods: readonly string[];
  /** See `FaceOptions`. */
  readonly guard?: FaceOptions["guard"];
  /**
   * Whether the answer to a request is sent whole, whatever its body is: such requests take the fast lane. Default: of
   * none.
   */
  isWhole?(head: RequestHead): boolean;
  /** Answers a request. A rejection is answered as an error. */
  answer(exchange: HttpExchange): void | Promise<void>;
}

/** A face of one server. */
export interface MountedFace {
  /** WebSockets at its paths; undefined for none. */
  readonly sockets?: ReadonlyMap<string, FaceSocketPath> | undefined;
  /** Loads what it needs, before `use`. @throws SetupError, by which it rejects, for what is not installed */
  load?(): Promise<void>;
  /**
   * Derives the face from a contract. What it returns refers to no earlier contract. Nothing else changes before `adopt`.
   *
   * @returns what answers, by exact path
   * @throws SetupError for what cannot be derived; the contract is not used then
   */
  use(contract: Contract): ReadonlyMap<string, FacePath>;
  /**
   * From now on the contract of the last `use` is served: for what of a face is not at its paths, such as sockets and
   * notifications. It is not called where another face has refused the contract. Default: nothing is done.
   */
  adopt?(): void;
  /** Is told of the calls of the server while it looks; undefined for faces that show none. */
  readonly watcher?: CallWatcher | undefined;
  /** Lines for the start-up message. @param origin address of the server: `http://127.0.0.1:8080` */
  describe(origin: string): readonly string[];
  /** Ends connections that outlive their exchange; resolves when all of them are closed. */
  stop?(graceMs: number): Promise<StopReport>;
}

/**
 * A document about the rpcs of a server, or a further way to call them. It is a value that is handed to `HttpServer`; who
 * hands over none loads nothing of it.
 */
export interface Face {
  /** For logs and errors. */
  readonly name: string;
  /** The paths that it has, whatever the contract: rules of rpcs cannot use them. */
  readonly paths: readonly string[];
  /** The protocol of its calls; undefined for a document, which makes none. */
  readonly protocol?: FaceProtocol;
  /** Its page, to which other pages link; undefined where it has none. */
  readonly page?: FacePage | undefined;
  /** Makes the face of a server. @param pages those of the other faces */
  mount(host: FaceHost, pages: readonly FacePage[]): MountedFace;
}

/** Options that every face has. */
export interface FaceOptions {
  /** Full names of the services that it shows. Default: all. */
  readonly services: readonly string[];
  /** Labels of `google.api.visibility`: elements with one of them are shown, others with labels are not. Default: none. */
  readonly visibility: readonly string[];
  /** Lets requests in; to others the path is not there. Default: all are let in. */
  readonly guard: ((head: RequestHead) => boolean | Promise<boolean>) | undefined;
}

/** The defaults of {@link FaceOptions}. */
export const faceDefaults: FaceOptions = Object.freeze({
  services: Object.freeze([]),
  visibility: Object.freeze([]),
  guard: undefined,
});
