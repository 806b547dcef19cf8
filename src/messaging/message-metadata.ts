import { propagatedHeaders } from "../core/metadata/propagate.ts";
import { isReservedHeader } from "../core/metadata/reserved-headers.ts";
import { isIdentityHeader } from "../core/metadata/identity-headers.ts";
import { parseTraceparent, traceparentHeader, tracestateHeader } from "../core/metadata/trace-context.ts";
import { SetupError } from "../core/errors/setup-error.ts";
import type { RawMessage } from "./event-attributes.ts";

/**
 * Headers that messages and calls pass to one another: those of the REST door, without `authorization`, since brokers
 * keep messages.
 */
export const messageHeaders: readonly string[] = Object.freeze([
  "accept-language",
  "traceparent",
  "tracestate",
  "baggage",
  "x-request-id",
  "idempotency-key",
  "if-match",
  "if-none-match",
  "last-event-id",
  "x-forwarded-user-agent",
]);

/** Names of our own headers: how often a message was tried, why it is a dead letter, the reply of a call. */
export const ownPrefix = "x-ts-ms-";

const printable = /^[\x20-\x7e]*$/;
const headerName = /^[\w!#$%&'*+.^`|~-]+$/;
/** How brokers mark attributes. */
const attributeMark = /^(ce[_-]|cloudevents[_:])/;

/** Why a header, its name in lower case, can be set by no user; undefined for one that can. */
export function whyNoHeader(name: string): string | undefined {
  if (!headerName.test(name)) return "is no name of a header";
  if (name.startsWith(ownPrefix))
    return `begins with ${ownPrefix}, which is kept for what retries and replies need`;
  if (attributeMark.test(name)) return "marks an attribute of the event: set the attribute";
  if (isReservedHeader(name) || name.startsWith("content-") || isIdentityHeader(name)) {
    return "belongs to a protocol, a connection, a body or an identity";
  }
  return undefined;
}

/** Selects the headers of messages that become metadata of calls, and the headers of calls that become those of messages. */
export class MessageMetadata {
  readonly #names: ReadonlySet<string>;
  readonly #caused: readonly string[];

  /**
   * @param owner what has the option `forwardHeaders`, for errors
   * @param forwardHeaders further names, in any case
   * @throws SetupError naming a header that may never be forwarded
   */
  constructor(owner: string, forwardHeaders: readonly string[]) {
    const added = forwardHeaders.map((name) => name.toLowerCase());
    for (const name of added) {
      const problem = whyNoHeader(name);
      if (problem !== undefined) {
        throw new SetupError(`${owner}: forwardHeaders cannot have ${JSON.stringify(name)}: it ${problem}`);
      }
    }
    this.#names = new Set([...messageHeaders, ...added]);
    this.#caused = [...propagatedHeaders.filter((name) => messageHeaders.includes(name)), ...added];
  }

  /**
   * The metadata of a call that a message becomes. Values that metadata cannot contain are left out; without a good
   * `traceparent` a new trace begins.
   */
  of(headers: ReadonlyMap<string, string>): Headers {
    const metadata = new Headers();
    for (const name of this.#names) {
      const value = headers.get(name);
      if (value !== undefined && printable.test(value)) metadata.set(name, value);
    }
    if (parseTraceparent(headers.get(traceparentHeader)) === undefined) {
      metadata.delete(traceparentHeader);
      metadata.delete(tracestateHeader);
    }
    return metadata;
  }

  /** Adds those headers of a call that the message that it is sent by has too; what is there already stays. */
  add(headers: Headers, into: Map<string, string>): void {
    addEach(this.#names, headers, into);
  }

  /** Adds those headers of a call that messages have which are published in it: of its user, its request, its trace. */
  addCaused(headers: Headers, into: Map<string, string>): void {
    addEach(this.#caused, headers, into);
  }
}

function addEach(names: Iterable<string>, headers: Headers, into: Map<string, string>): void {
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null && !into.has(name)) into.set(name, value);
  }
}

/** Bytes of all headers of a message, with their names; one that is neither text nor bytes counts as 8. */
export function headerBytes({ headers }: Pick<RawMessage, "headers">): number {
  let bytes = 0;
  for (const [name, value] of headers) {
    bytes += name.length;
    if (typeof value === "string") bytes += Buffer.byteLength(value);
    else bytes += value instanceof Uint8Array ? value.length : 8;
  }
  return bytes;
}
