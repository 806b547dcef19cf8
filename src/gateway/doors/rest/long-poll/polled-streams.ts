import { randomBytes } from "node:crypto";
import { Code, ConnectError } from "../../../../core/errors/errors.ts";
import { HttpError } from "../../../http/http-error.ts";
import type { LongPollOptions } from "../../options/poll-options.ts";
import { abandoned, type PolledStream } from "./polled-stream.ts";

/** A stream that the next request can continue. */
export interface OpenPoll {
  readonly id: string;
  readonly stream: PolledStream;
  /** The route and credentials of the request that opened it. */
  readonly owner: string;
  timer: NodeJS.Timeout | undefined;
}

const tokenForm = /^([\w-]{24})\.(\d{1,15})$/;

/** The polled streams of this process by their tokens. */
export class PolledStreams {
  readonly #options: Pick<LongPollOptions, "pollIdleMs" | "maxPolledStreams">;
  readonly #open = new Map<string, OpenPoll>();

  constructor(options: Pick<LongPollOptions, "pollIdleMs" | "maxPolledStreams">) {
    this.#options = options;
  }

  /** Throws RESOURCE_EXHAUSTED if too many streams are open. */
  checkLimit(): void {
    if (this.#open.size < this.#options.maxPolledStreams) return;
    throw new ConnectError("too many streams are open for polling", Code.ResourceExhausted);
  }

  add(stream: PolledStream, owner: string): OpenPoll {
    const poll: OpenPoll = { id: randomBytes(18).toString("base64url"), stream, owner, timer: undefined };
    this.#open.set(poll.id, poll);
    return poll;
  }

  /**
   * The stream of a token, with the number of the batch that its client has.
   *
   * @throws HttpError 410 for an invalid token: unknown, of another process, route or credentials, or not used for too
   * long
   */
  find(token: string, owner: string): { readonly poll: OpenPoll; readonly after: number } {
    const [, id = "", number = ""] = tokenForm.exec(token) ?? [];
    const poll = this.#open.get(id);
    const after = Number(number);
    if (poll === undefined || poll.owner !== owner || !poll.stream.knows(after)) throw invalidToken();
    clearTimeout(poll.timer);
    return { poll, after };
  }

  /** Starts the timer after an answer: the next request must arrive within `pollIdleMs`. */
  expectNext(poll: OpenPoll): void {
    clearTimeout(poll.timer);
    if (!this.#open.has(poll.id)) return;
    poll.timer = setTimeout(() => this.remove(poll), this.#options.pollIdleMs).unref();
  }

  /** Removes a stream, and cancels it if it has not ended. */
  remove(poll: OpenPoll, reason: ConnectError = abandoned()): void {
    clearTimeout(poll.timer);
    this.#open.delete(poll.id);
    poll.stream.close(reason);
  }

  /** Ends every stream, as the server stops. */
  close(): void {
    const reason = new ConnectError("the server is shutting down", Code.Unavailable);
    for (const poll of this.#open.values()) this.remove(poll, reason);
  }
}

function invalidToken(): HttpError {
  return new HttpError(410, "the resume token is unknown or its time is over: begin without it", {
    code: Code.NotFound,
  });
}
