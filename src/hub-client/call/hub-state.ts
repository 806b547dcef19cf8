import type { HubError } from "./hub-error.ts";

/** The ways to a server, from the best one down. */
export type LinkName = "websocket" | "sse" | "poll";

/** The state of a client or of one subscription, for a badge on a page. */
export type HubState =
  /** Nothing has arrived yet. */
  | { readonly kind: "connecting" }
  /** Messages arrive, by this link. */
  | { readonly kind: "open"; readonly link: LinkName | "transport" }
  /** The server stops: another connection is being opened, and messages arrive by the old one until then. */
  | { readonly kind: "moving" }
  /** The next attempt is made at a time, in milliseconds since 1970, or when the page comes back or is online. */
  | { readonly kind: "waiting"; readonly untilMs: number; readonly error: HubError | undefined }
  /** It is over: by `close()`, by the end of the stream, or by an error that does not pass. */
  | { readonly kind: "closed"; readonly error: HubError | undefined };

/** Whether two states show the same. */
export function isSameState(one: HubState, other: HubState): boolean {
  return JSON.stringify(one) === JSON.stringify(other) && one.kind !== "closed";
}
