import { request, type Agent, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import { NotSent } from "./http1-sockets.ts";

/** Where `agentFetch` sends its requests. */
export interface FetchPlace {
  readonly agent: Agent;
  /** Whether a socket was connected. */
  isEstablished(socket: Socket): boolean;
  /** No connection can be made. */
  unreachable(): void;
  /** So many bytes of a body were sent or received. */
  sent(bytes: number): void;
  received(bytes: number): void;
}

/** Statuses whose responses have no body. */
const bodiless: ReadonlySet<number> = new Set([204, 205, 304]);

/** What `agentFetch` reads of the options of `fetch`. */
interface Sent {
  readonly method?: string;
  readonly headers?: Headers;
  readonly body?: string | Uint8Array | ReadableStream<Uint8Array>;
  readonly signal?: AbortSignal;
}

/**
 * A `fetch` of HTTP/1.1 by the sockets of one agent, which global `fetch` has no way to be given. Redirects are responses.
 *
 * @param origin what URLs begin with; what follows is sent as it is
 * @returns rejects with `NotSent` where no connection could be made
 */
export function agentFetch(origin: string, place: FetchPlace): typeof fetch {
  return (input, init) =>
    new Promise((resolve, reject) => {
      const { method = "GET", headers = new Headers(), body, signal } = (init ?? {}) as Sent; // As the client makes it.
      const path = (input as string).slice(origin.length); // The client gives no other form.
      const own = signal === undefined ? {} : { signal };
      const sent = request({
        ...own,
        agent: place.agent,
        method,
        path,
        headers: Object.fromEntries(headers),
        setHost: false,
      });
      sent.once("response", (response) => resolve(toResponse(response, place)));
      sent.once("error", (error) => {
        const { socket } = sent;
        const isSent = signal?.aborted === true || (socket !== null && place.isEstablished(socket));
        if (!isSent) place.unreachable();
        reject(isSent ? error : new NotSent("no connection", { cause: error }));
      });
      if (body instanceof ReadableStream) {
        // A body that fails is an error of the request.
        Readable.fromWeb(body as NodeReadableStream)
          .on("data", (chunk: Uint8Array) => place.sent(chunk.length))
          .on("error", (error) => sent.destroy(error))
          .pipe(sent);
      } else {
        place.sent(body?.length ?? 0);
        sent.end(body);
      }
    });
}

function toResponse(incoming: IncomingMessage, place: FetchPlace): Response {
  const { statusCode = 0, rawHeaders } = incoming;
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  }
  // Others than 2xx are all read as errors; `Response` takes no status above 599.
  const status = statusCode > 599 ? 599 : statusCode;
  if (bodiless.has(status)) {
    incoming.resume();
    return new Response(null, { status, headers });
  }
  return new Response(bodyOf(incoming, place), { status, headers });
}

/** The body, read no faster than the caller reads. */
function bodyOf(incoming: IncomingMessage, place: FetchPlace): ReadableStream<Uint8Array> {
  const chunks = incoming.iterator() as AsyncIterator<Uint8Array, undefined>; // Without an encoding they are bytes.
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await chunks.next();
        if (done === true) {
          controller.close();
          return;
        }
        place.received(value.length);
        controller.enqueue(value);
      },
      cancel() {
        incoming.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}
