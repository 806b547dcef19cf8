import type { ConnectError } from "../errors/errors.ts";
import type { CallContext, HandlerContext } from "./context.ts";
import type { AttemptTrace } from "./client-trace.ts";

/** A message of a broker, as far as its spans say of it. */
export interface TracedMessage {
  /** Name of the broker's system, as in `messaging.system` of OpenTelemetry. */
  readonly system: string;
  readonly topic: string;
  readonly id: string;
}

/** A message that is sent. */
export interface SentMessage extends TracedMessage {
  /** The call that it is part of; undefined for none. */
  readonly context: HandlerContext | undefined;
  /** A header that the caller has set. @param name in lower case */
  readonly header: (name: string) => string | undefined;
}

/** Messages that are handled in one run. */
export interface HandledMessages extends TracedMessage {
  readonly group: string;
  /** Undefined where the broker has none. */
  readonly partition: number | undefined;
  /** The headers of each message; the run is part of the trace of one, and linked to all. */
  readonly headers: readonly ReadonlyMap<string, string>[];
}

/** Makes spans of messages. */
export interface MessageTracer {
  /** A message is sent: its headers are those of the span. */
  send(message: SentMessage): AttemptTrace;
  /** A run begins; from now on `context.trace` is its span. @returns its end; undefined for OK */
  process(context: CallContext, messages: HandledMessages): (error: ConnectError | undefined) => void;
}

/** What traces the messages of this process; undefined while traces are off. */
export const messageTracing: { tracer: MessageTracer | undefined } = { tracer: undefined };
