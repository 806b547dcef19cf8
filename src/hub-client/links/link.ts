import type { HubError } from "../call/hub-error.ts";
import type { HubMethod } from "../call/hub-method.ts";
import type { HubReset } from "../call/hub-reset.ts";
import type { LinkName } from "../call/hub-state.ts";

/** A stream that a subscription wants. */
export interface StreamRequest {
  readonly method: HubMethod;
  /** As the user has given it. */
  readonly request: unknown;
  /** The position behind which it begins; undefined for a fresh one. */
  readonly after: string | undefined;
  /** The token that is sent along; undefined for none. */
  readonly token: string | undefined;
}

/** How a stream has ended. */
export interface StreamEnd {
  /** Undefined when the server has ended it without an error. */
  readonly error: HubError | undefined;
  /** The least time until the next attempt that the server has asked for, in milliseconds. */
  readonly retryMs: number | undefined;
  /** Whether the connection failed, and not the call. */
  readonly lost: boolean;
}

/** What a stream tells its subscription. */
export interface StreamListener {
  /** The first bytes have arrived: what is between client and server lets them through. */
  opened(): void;
  /** All up to here has been seen, or is not for this member. */
  moved(position: string): void;
  /** @param confirm to be called when it was handled, where the server waits for that */
  message(value: unknown, position: string | undefined, extra: MessageExtra, confirm?: () => void): void;
  reset(reset: HubReset, position: string | undefined): void;
  /** The last one, once. */
  ended(end: StreamEnd): void;
}

/** What a message has beside itself. */
export interface MessageExtra {
  /** What the publisher calls it; undefined for `message`. */
  readonly event: string | undefined;
  /** The headers of the publication, where the link shows them. */
  readonly headers: Readonly<Record<string, string>>;
}

/** A stream under way. */
export interface LinkStream {
  /** No further messages for now, after those that have arrived. */
  pause(): void;
  resume(): void;
  /** Ends it; the listener hears nothing more. */
  close(): void;
}

/** A way to a server that is open, or that needs no opening. */
export interface Link {
  readonly name: LinkName | "transport";
  /** @throws HubError INVALID_ARGUMENT, or as the end of the stream, for what is no request */
  open(request: StreamRequest, listener: StreamListener): LinkStream;
  /** One call; @throws HubError */
  call(method: HubMethod, request: unknown, token: string | undefined): Promise<unknown>;
  /** Gives the server another token, where calls of this link share one. */
  authorize(token: string): void;
  /** Looks whether the server is there, when nothing has come for long. */
  check(): void;
  close(): void;
}

/** How long a server that sends a sign of life every 25 seconds may be silent, in milliseconds. */
export const silentMs = 62_500;

export const noExtra: MessageExtra = Object.freeze({ event: undefined, headers: Object.freeze({}) });
