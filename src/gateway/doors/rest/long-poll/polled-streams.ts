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
  /** Under which the next request finds it by position; undefined while it is not looked for so. */
  place: string | undefined;
}

/** Whether a resume token is one of a stream in this process alone, not a position. */
export function isOpaque(token: string): boolean {
  return tokenForm.test(token);
}

const tokenForm = /^([\w-]{24})\.(\d{1,15})$/;

/** The polled streams of this process by their tokens. */
export class PolledStreams {
  readonly #options: Pick<LongPollOptions, "pollIdleMs" | "maxPolledStreams">;
  readonly #open = new Map<string, OpenPoll>();
  /** Those that wait for their next request, by owner and position. Those of one place are alike. */
  readonly #places = new Map<string, OpenPoll[]>();

  constructor(options: Pick<LongPollOptions, "pollIdleMs" | "maxPolledStreams">) {
    this.#options = options;
  }

  /** Throws RESOURCE_EXHAUSTED if too many streams are open. */
  checkLimit(): void {
    if (this.#open.size < this.#options.maxPolledStreams) return;
    throw new ConnectError("too many streams are open for polling", Code.ResourceExhausted);
  }

  add(stream: PolledStream, owner: string): OpenPoll {
    const poll: OpenPoll = {
      id: randomBytes(18).toString("base64url"),
      stream,
      owner,
      timer: undefined,
      place: undefined,
    };
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

  /** A stream whose client has got everything up to a position; undefined where none is open here. */
  findAt(position: string, owner: string): OpenPoll | undefined {
    const poll = this.#places.get(placeOf(owner, position))?.at(-1);
    if (poll === undefined) return undefined;
    this.#unplace(poll);
    clearTimeout(poll.timer);
    return poll;
  }

  /**
   * Starts the timer after an answer: the next request must arrive within `pollIdleMs`.
   *
   * @param position what the client has got everything up to; undefined for a stream without positions
   */
  expectNext(poll: OpenPoll, position?: string): void {
    clearTimeout(poll.timer);
    if (!this.#open.has(poll.id)) return;
    this.#unplace(poll);
    if (position !== undefined) {
      poll.place = placeOf(poll.owner, position);
      const alike = this.#places.get(poll.place);
      if (alike === undefined) this.#places.set(poll.place, [poll]);
      else alike.push(poll);
    }
    poll.timer = setTimeout(() => this.remove(poll), this.#options.pollIdleMs).unref();
  }

  /** Removes a stream, and cancels it if it has not ended. */
  remove(poll: OpenPoll, reason: ConnectError = abandoned()): void {
    clearTimeout(poll.timer);
    this.#unplace(poll);
    this.#open.delete(poll.id);
    poll.stream.close(reason);
  }

  /** Answers requests that wait for what has a position, as the server stops: their clients go on elsewhere. */
  answerNow(): void {
    for (const { stream } of this.#open.values()) if (stream.position !== undefined) stream.cutWait();
  }

  /** Ends every stream, as the server stops. */
  close(): void {
    const reason = new ConnectError("the server is shutting down", Code.Unavailable);
    for (const poll of this.#open.values()) this.remove(poll, reason);
  }

  #unplace(poll: OpenPoll): void {
    const { place } = poll;
    if (place === undefined) return;
    poll.place = undefined;
    const left = this.#places.get(place)?.filter((other) => other !== poll) ?? [];
    if (left.length === 0) this.#places.delete(place);
    else this.#places.set(place, left);
  }
}

function placeOf(owner: string, position: string): string {
  return `${position} ${owner}`;
}

function invalidToken(): HttpError {
  return new HttpError(410, "the resume token is unknown or its time is over: begin without it", {
    code: Code.NotFound,
  });
}
