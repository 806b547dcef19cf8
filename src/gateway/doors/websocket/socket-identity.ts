import type { LiveTimes } from "../../../core/admission/connection-book.ts";
import { otherUser } from "../../../core/admission/other-user.ts";
import type { BookedConnection } from "../../../core/call/booked-connection.ts";
import type { CallContext } from "../../../core/call/context.ts";
import { Code, ConnectError, toCallError } from "../../../core/errors/errors.ts";
import { principal, principalKey } from "../../../core/security/principal.ts";

/** A stream of a socket, with the credentials that all calls of the socket share. */
export interface SharedCall {
  readonly context: CallContext;
  /** Whether the gates have admitted it. */
  readonly isAdmitted: boolean;
  /**
   * A call of the same rpc with another token, which the gates have admitted. Its caller ends it.
   *
   * @throws ConnectError by which they refuse it
   */
  readonly show: (authorization: string) => Promise<CallContext>;
}

/** What a `SocketIdentity` is made of. */
export interface SocketIdentityInit extends Pick<LiveTimes, "expiryNoticeMs"> {
  /** The socket in the book of a hub; undefined where there is no hub. */
  readonly connection: BookedConnection | undefined;
  /** Streams under way. */
  readonly calls: () => readonly SharedCall[];
  /** Asks the gates about a token while no stream is under way; Undefined where the socket has had no call yet. */
  readonly showLast: (authorization: string) => Promise<CallContext | undefined>;
  /** Calls that begin from now on have this token. */
  readonly use: (authorization: string) => void;
  /** Sends a frame. */
  readonly write: (text: string) => void;
  /** The JSON of `google.rpc.Status`. */
  readonly statusText: (error: ConnectError) => string;
}

/** The longest wait of a timer. */
const longestMs = 2 ** 31 - 1;

/**
 * Whose the calls of a socket are, for a client that has said hello: it hears when that ends, and renews its token while
 * its calls go on.
 */
export class SocketIdentity {
  readonly #init: SocketIdentityInit;
  #timer: NodeJS.Timeout | undefined;
  /** The end that the client has been told of, in milliseconds since 1970. */
  #toldOf = 0;
  #isBusy = false;
  /** The token that is looked at next. */
  #next: string | undefined;
  #isClosed = false;

  constructor(init: SocketIdentityInit) {
    this.#init = init;
  }

  /** A call has begun, which the gates have admitted. */
  began(context: CallContext): void {
    if (endsOf(context, this.#init.connection).length > 0) this.look();
  }

  /** Calls have begun, or have other credentials: tells the client in time when the first of them ends. */
  look(): void {
    clearTimeout(this.#timer);
    const endMs = this.#endMs();
    if (this.#isClosed || endMs === undefined || endMs === this.#toldOf) return;
    const leftMs = endMs - Date.now();
    const { expiryNoticeMs } = this.#init;
    // What lives shorter than the notice is renewed in the middle of its life, and not again and again.
    const waitMs = leftMs > expiryNoticeMs ? leftMs - expiryNoticeMs : leftMs / 2;
    if (waitMs > longestMs) this.#timer = setTimeout(() => this.look(), longestMs).unref();
    else this.#timer = setTimeout(() => this.#tell(endMs), Math.max(0, waitMs)).unref();
  }

  /** The client shows another token, checked as soon as those before are. */
  renew(authorization: string): void {
    if (this.#next !== undefined) {
      this.#refuse(new ConnectError("another token came before this one was looked at", Code.Aborted));
    }
    this.#next = authorization;
    if (!this.#isBusy) void this.#renewAll();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** When the first identity of a stream ends; undefined for never. */
  #endMs(): number | undefined {
    const { connection, calls } = this.#init;
    const ends = calls().flatMap(({ context, isAdmitted }) =>
      isAdmitted ? endsOf(context, connection) : [],
    );
    return ends.length === 0 ? undefined : Math.min(...ends);
  }

  #tell(endMs: number): void {
    if (this.#endMs() !== endMs) {
      this.look();
      return;
    }
    this.#toldOf = endMs;
    this.#init.write(`{"expiring":{"inMs":${leftUntil(endMs)}}}`);
  }

  /** Never rejects. */
  async #renewAll(): Promise<void> {
    this.#isBusy = true;
    while (this.#next !== undefined && !this.#isClosed) {
      const authorization = this.#next;
      this.#next = undefined;
      try {
        const endMs = await this.#renew(authorization);
        const left = endMs === undefined ? "{}" : `{"expiresInMs":${leftUntil(endMs)}}`;
        this.#init.write(`{"authorized":${left}}`);
        this.look();
      } catch (reason) {
        this.#refuse(toCallError(reason));
      }
    }
    this.#isBusy = false;
  }

  /** @returns when the new identity ends; undefined for never. @throws ConnectError by which the token is refused */
  async #renew(authorization: string): Promise<number | undefined> {
    const { calls, showLast, use, connection } = this.#init;
    const shown = new Map<CallContext, CallContext>();
    try {
      // Calls that begin meanwhile have the old token, and are looked at as well.
      for (;;) {
        const due = calls().filter(({ context }) => !shown.has(context));
        if (due.length === 0) break;
        const asked = due.map(async ({ context, show }) => shown.set(context, await show(authorization)));
        const refused = (await Promise.allSettled(asked)).find(({ status }) => status === "rejected");
        if (refused?.status === "rejected") throw refused.reason;
      }
      const renewed = [...shown].flatMap(([call, other]) => (call.isEnded ? [] : { call, shown: other }));
      if (renewed.length === 0) return await this.#useFor(await showLast(authorization), authorization);
      for (const { call, shown: other } of renewed) {
        if (principal(call)?.id !== principal(other)?.id) throw otherUser();
      }
      await connection?.renew(renewed);
      for (const { call, shown: other } of renewed) goOn(call, other);
      use(authorization);
      return this.#endMs();
    } finally {
      for (const context of shown.values()) context.end();
    }
  }

  /** No stream is under way: calls that begin from now on have the token. */
  async #useFor(shown: CallContext | undefined, authorization: string): Promise<number | undefined> {
    shown?.end();
    this.#init.use(authorization);
    return shown && principal(shown)?.expiresAtMs;
  }

  #refuse(error: ConnectError): void {
    this.#init.write(`{"authorized":false,"status":${this.#init.statusText(error)}}`);
  }
}

/** A call goes on with what another one has shown. */
function goOn(call: CallContext, shown: CallContext): void {
  const who = principal(shown);
  if (who !== undefined) call.values.set(principalKey, who);
  const authorization = shown.requestField("authorization");
  if (authorization !== undefined) call.requestHeader.set("authorization", authorization);
}

function endsOf(context: CallContext, connection: BookedConnection | undefined): readonly number[] {
  return [principal(context)?.expiresAtMs, connection?.endsAtMs(context)].filter((end) => end !== undefined);
}

function leftUntil(endMs: number): number {
  return Math.max(0, Math.round(endMs - Date.now()));
}
