import { HttpError } from "../../../http/http-error.ts";
import type { Route } from "../../../../core/http-rule/route.ts";
import { compileEventId } from "./event-id.ts";
import { jsonArray } from "./json-array.ts";
import { ndjson } from "./ndjson.ts";
import { negotiate } from "./negotiate.ts";
import { sse } from "./sse.ts";
import type { StatusText, StreamEncoding } from "./stream-encoding.ts";
import type { DoorKit } from "../../door-kit.ts";

/** The encodings of one route's streams. */
export interface Encodings {
  /**
   * The encoding for a request, by its `Accept`.
   *
   * @param whole whether the client uses HTTP/1.0, for which an array is preferred
   * @throws HttpError 406 when none is acceptable
   */
  forStream(accept: string | undefined, whole: boolean): StreamEncoding;
  /** Server-Sent Events if a request for one message prefers them to JSON; undefined for JSON. */
  forSingle(accept: string | undefined): StreamEncoding | undefined;
}

/**
 * Compiles the encodings of a route, in the order of preference if the client has none.
 *
 * @throws Error as `compileEventId`
 */
export function compileEncodings(
  route: Route,
  statusText: StatusText,
  { streams, compat }: Pick<DoorKit, "streams" | "compat">,
): Encodings {
  const { output } = route.method;
  const eventId = compileEventId(output);
  const events = sse({ statusText, eventId, retryMs: streams.sseRetryMs });
  const lines = ["application/x-ndjson", "application/jsonl", "application/ndjson"].map((contentType) =>
    ndjson(statusText, { contentType }),
  );
  const array = jsonArray(statusText, streams.arrayError);
  const wrapped = ndjson(statusText, { contentType: "application/json", wrap: true });
  const inOrder = compat === "grpc-gateway" ? [wrapped, ...lines, events] : [...lines, events, array];
  const forWhole = [array, ...lines, events];
  return {
    forStream(accept, whole) {
      const offers = whole ? forWhole : inOrder;
      const chosen = negotiate(accept, offers);
      if (chosen !== undefined) return chosen;
      const types = inOrder.map(({ contentType }) => contentType).join(", ");
      throw new HttpError(406, `nothing in the header Accept is served here, which is ${types}`);
    },
    forSingle(accept) {
      if (accept === undefined || !/text\//i.test(accept)) return undefined;
      const chosen = negotiate(accept, [{ contentType: "application/json" }, ...jsonLike, events]);
      return chosen === events ? events : undefined;
    },
  };
}

/** Further media types that mean no event stream in the negotiation of `forSingle`. */
const jsonLike = [
  { contentType: "text/json" },
  { contentType: "application/proto" },
  { contentType: "application/x-protobuf" },
];
