import { SetupError } from "../core/errors/setup-error.ts";
import type { HttpServer } from "../gateway/http-server.ts";
import type { AppServer } from "./app-server.ts";

/** A request for `App.inject`. */
export interface InjectRequest {
  /** Name of the server of the app. Default: the default server of the app. */
  readonly server?: string;
  /** HTTP method. Default: `GET`. */
  readonly method?: string;
  /** Path and query, such as `/v1/shelves?page_size=2`. */
  readonly url: string;
  /** Header fields. Default: none beside `host`, `user-agent` and, with a body, `content-length`. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** The body. Default: none. */
  readonly body?: string | Uint8Array;
  /** The address that the request seems to come from. Default: `127.0.0.1`. */
  readonly remoteAddress?: string;
}

/** The answer to a request of `App.inject`. */
export interface InjectReply {
  /** HTTP status. */
  readonly status: number;
  /** Header fields by their names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** Trailer fields by their names in lower case. */
  readonly trailers: Readonly<Record<string, string>>;
  /** The bytes of the body, as they were sent: compressed where the answer is. */
  readonly body: Buffer;
  /** The body as text. */
  text(): string;
  /** The body as JSON. @throws SyntaxError if it is none */
  json(): unknown;
}

type Method = "GET";

/**
 * Sends a request through an HTTP server without a socket: the checks of its head, hooks and routes of Fastify, doors,
 * gates, limits, handlers and observers are those of every request.
 *
 * @throws SetupError for a server that serves no HTTP
 */
export async function inject(name: string, server: AppServer, request: InjectRequest): Promise<InjectReply> {
  if (!isHttp(server)) {
    throw new SetupError(
      `the server "${name}" takes no requests by inject: it serves no HTTP; name one that does`,
    );
  }
  const { method = "GET", url, headers = {}, body, remoteAddress = "127.0.0.1" } = request;
  const fields = Object.entries(headers).map(([field, value]) => [
    field,
    typeof value === "string" ? value : [...value],
  ]);
  const answer = await server.fastify.inject({
    method: method as Method, // Any method may be sent; the types list those that Fastify knows.
    url,
    headers: Object.fromEntries(fields) as Record<string, string | string[]>, // As they are made above.
    remoteAddress,
    ...(body === undefined ? {} : { payload: typeof body === "string" ? body : Buffer.from(body) }),
  });
  const { statusCode, rawPayload, trailers } = answer;
  return {
    status: statusCode,
    headers: answer.headers as InjectReply["headers"], // Numbers are written as text.
    trailers,
    body: rawPayload,
    text: () => rawPayload.toString(),
    json: () => JSON.parse(rawPayload.toString()) as unknown,
  };
}

function isHttp(server: AppServer): server is HttpServer {
  return "fastify" in server;
}
