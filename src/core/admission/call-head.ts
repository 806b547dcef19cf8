import type { DescMethod } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { PeerIdentity } from "../metadata/peer-identity.ts";

/** The protocol by which a call came in, as policies, limits, logs and metrics name it. */
export type DoorName =
  | "grpc"
  | "rest"
  | "connect"
  | "grpc-web"
  | "sse"
  | "ndjson"
  | "websocket"
  | "long-poll"
  | "graphql"
  | "mcp"
  | "queue"
  | "in-process";

/** The address of a client. */
export interface ClientAddress {
  /** IPv4 or IPv6 in text, without a port; empty for a client in this process or on a Unix socket. */
  readonly ip: string;
  /** Whether trusted proxies stand between the client and this server: `ip` is what they say. */
  readonly trusted: boolean;
}

/** A call before its body is read. */
export interface CallHead {
  readonly door: DoorName;
  readonly method: DescMethod;
  /** The call as its handler will see it. Headers of the response may be set here. */
  readonly context: HandlerContext;
  readonly client: ClientAddress;
  /** The verified identity of the client's certificate; undefined for an anonymous client. */
  readonly peer: PeerIdentity | undefined;
  /** HTTP method: `POST` for gRPC. */
  readonly httpMethod: string;
  /** Request target as it came, with the query: `/v1/shelves/1?x=%2F`, for gRPC `/package.Service/Method`. */
  readonly target: string;
  /** Path template of the REST route, such as `/v1/shelves/{shelf}`; undefined for other doors. */
  readonly route: string | undefined;
  /** `http` or `https`. */
  readonly scheme: string;
  /** The host and port that the client asked for; empty if it named none. */
  readonly authority: string;
  /** Size of the body by `Content-Length`, in bytes; undefined where it is not said. */
  readonly bodyBytes: number | undefined;
  /** The value of a request header by its name in lower case; several are joined by `, `. */
  header(name: string): string | undefined;
  /** All values of a request header by its name in lower case, in their order; none: an empty list. */
  headerValues(name: string): readonly string[];
}
