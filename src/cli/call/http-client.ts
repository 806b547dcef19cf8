import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import type { ReadableStream as NodeStream } from "node:stream/web";
import type { SecureContextOptions } from "node:tls";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import type { TargetTls } from "../contracts/target-flags.ts";

/** An HTTP client in the two forms that transports take. */
export interface HttpClient {
  readonly fetch: typeof globalThis.fetch;
  readonly universal: UniversalClientFn;
}

/** A client with its connections. */
export interface OpenHttpClient extends HttpClient {
  close(): void;
}

/** One request. */
interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  /** Bytes, or a stream of them. */
  readonly body: Uint8Array | Readable | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Statuses of responses that have no body. */
const bodiless = new Set([204, 205, 304]);

/**
 * A client over HTTP/1.1 by Node's own, which takes certificates and gives responses before their requests have ended.
 *
 * @param authority the `Host` of requests; undefined for that of their URL
 */
export function openHttpClient(
  { serverName, ...certificates }: TargetTls,
  authority: string | undefined,
): OpenHttpClient {
  const tls: SecureContextOptions & { servername?: string } = {};
  for (const part of ["ca", "cert", "key"] as const) {
    const pem = certificates[part];
    if (pem !== undefined) tls[part] = Buffer.from(pem);
  }
  if (serverName !== undefined) tls.servername = serverName;
  const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent({ keepAlive: true }) };
  const send = ({ method, url, headers, body, signal }: Outgoing): Promise<IncomingMessage> => {
    const fields: Record<string, string> = { "user-agent": "ts-ms", ...Object.fromEntries(headers) };
    if (authority !== undefined) fields["host"] = authority;
    if (body instanceof Uint8Array) fields["content-length"] = String(body.length);
    const common = { method, headers: fields, ...(signal === undefined ? {} : { signal }) };
    const request = url.startsWith("https:")
      ? httpsRequest(url, { ...tls, ...common, agent: agents.https })
      : httpRequest(url, { ...common, agent: agents.http });
    if (body instanceof Readable) {
      request.flushHeaders();
      body.on("error", (error) => request.destroy(error)).pipe(request);
    } else request.end(body);
    return new Promise((resolve, reject) => {
      request.once("response", resolve);
      request.on("error", reject);
    });
  };
  return {
    fetch: async (input, init) => toResponse(await send(ofFetch(input, init))),
    async universal({ url, method, header, body, signal }) {
      const stream = body === undefined ? undefined : Readable.from(body);
      const incoming = await send({ url, method, headers: header, body: stream, signal });
      return {
        status: incoming.statusCode ?? 0,
        header: headersOf(incoming),
        body: incoming,
        trailer: new Headers(),
      };
    },
    close() {
      agents.http.destroy();
      agents.https.destroy();
    },
  };
}

/** What the transport of REST asks `fetch` for: a URL, and a body that is a text, bytes or a stream. */
function ofFetch(input: string | URL | Request, init: RequestInit = {}): Outgoing {
  const { method = "GET", headers, body, signal } = init;
  const common = { method, url: urlOf(input), headers: new Headers(headers), signal: signal ?? undefined };
  if (body === undefined || body === null) return { ...common, body: undefined };
  if (typeof body === "string") return { ...common, body: Buffer.from(body) };
  if (body instanceof Uint8Array) return { ...common, body };
  return { ...common, body: Readable.fromWeb(body as NodeStream<Uint8Array>) }; // The only other kind.
}

/** The URL of what `fetch` is called with. */
export function urlOf(input: string | URL | Request): string {
  if (typeof input === "string") return input;
  return input instanceof URL ? input.href : input.url;
}

function toResponse(incoming: IncomingMessage): Response {
  const { statusCode: status = 0, statusMessage: statusText = "" } = incoming;
  const headers = headersOf(incoming);
  if (bodiless.has(status)) {
    incoming.resume();
    return new Response(null, { status, statusText, headers });
  }
  const body = Readable.toWeb(incoming) as ReadableStream<Uint8Array>; // The same class, by another name.
  return new Response(body, { status, statusText, headers });
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "");
  }
  return headers;
}
