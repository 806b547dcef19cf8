import { type DescMethod, hasOption } from "@bufbuild/protobuf";
import { topic as topicOption } from "../../../../../gen/ts_ms/v1/topic_pb.ts";
import { Code, type ConnectError } from "../../../../core/errors/errors.ts";
import { lastEventIdHeader } from "../../../../core/metadata/stream-position.ts";
import { retryAfter } from "../../../http/error-writer.ts";

const parameter = /(^|&)(?:\$|%24)lastEventId=([^&]*)/i;

/** Whether an rpc is a topic of a hub, here or behind another server. */
export function isTopic(method: DescMethod): boolean {
  return hasOption(method, topicOption);
}

/**
 * Whether the client of a topic should come back: an `EventSource` does so after an answer of 200 alone (WHATWG HTML,
 * section 9.2.3).
 */
export function isRefusedForNow(error: ConnectError): boolean {
  if (error.code === Code.Unavailable) return true;
  return error.code === Code.ResourceExhausted && retryAfter(error) !== undefined;
}

/**
 * The query of a request without `$lastEventId`, by which the first connection of an `EventSource` has a position, and the
 * value of that.
 */
export function takeLastEventId(query: string): { readonly query: string; readonly id: string | undefined } {
  const match = parameter.exec(query);
  if (match === null) return { query, id: undefined };
  const [whole, before, value = ""] = match;
  const rest = query.slice(0, match.index) + query.slice(match.index + whole.length);
  return { query: before === "" ? rest.replace(/^&/, "") : rest, id: decoded(value) };
}

/** Adds the position of the query where there is none: a browser repeats its URL for ever, and the header is newer. */
export function withLastEventId(metadata: Headers, id: string | undefined): Headers {
  if (id !== undefined && !metadata.has(lastEventIdHeader)) metadata.set(lastEventIdHeader, id);
  return metadata;
}

/** A text that no position is where it cannot be decoded, or be a header. */
function decoded(value: string): string {
  try {
    const text = decodeURIComponent(value);
    return /^[\x20-\x7e]*$/.test(text) ? text.trim() : "?";
  } catch {
    return "?";
  }
}
