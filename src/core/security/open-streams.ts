import { CallContext } from "../call/context.ts";
import type { CallHead } from "../admission/call-head.ts";
import { refusal } from "../admission/refusal.ts";
import { Code, type ConnectError } from "../errors/errors.ts";
import type { AuthProvider } from "./auth-provider.ts";
import type { AuthReason } from "./auth-failure.ts";
import { principal, type Principal } from "./principal.ts";
import type { Revocations } from "./revocations.ts";
import type { SecurityParts } from "./security-parts.ts";

interface OpenStream {
  readonly context: CallContext;
  /** Who it began as. */
  readonly first: Principal;
  readonly fingerprint: string | undefined;
}

/** How often streams are looked at, in milliseconds. */
const sweepMs = 1_000;

/** Streams that are open, each of which ends when the credential of its principal ends, is ended or is revoked. */
export class OpenStreams {
  readonly #streams = new Set<OpenStream>();
  readonly #revocations: Revocations;
  readonly #parts: SecurityParts;
  readonly #providerOf: (name: string) => Pick<AuthProvider, "skewMs" | "hasEnded"> | undefined;
  readonly #unsubscribe: readonly (() => void)[];
  #cancel: (() => void) | undefined;

  /** @param providerOf the provider of a name; undefined if it is no more */
  constructor(
    revocations: Revocations,
    parts: SecurityParts,
    providerOf: (name: string) => Pick<AuthProvider, "skewMs" | "hasEnded"> | undefined,
  ) {
    this.#revocations = revocations;
    this.#parts = parts;
    this.#providerOf = providerOf;
    const sweep = (): void => this.#sweep();
    this.#unsubscribe = [revocations.onChange(sweep), revocations.onEnd(sweep)];
  }

  get size(): number {
    return this.#streams.size;
  }

  /** A call goes on as a principal. Unary calls are left alone: they have deadlines. */
  add({ method, context, peer }: CallHead, first: Principal): void {
    if (method.methodKind === "unary" || !(context instanceof CallContext)) return;
    this.#streams.add({ context, first, fingerprint: peer?.fingerprint });
    this.#cancel ??= this.#later();
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#cancel?.();
    this.#streams.clear();
  }

  #later(): () => void {
    return this.#parts.clock.after(
      sweepMs,
      () => {
        this.#sweep();
        this.#cancel = this.#streams.size === 0 ? undefined : this.#later();
      },
      false,
    );
  }

  #sweep(): void {
    const nowMs = this.#parts.wallMs();
    for (const stream of this.#streams) {
      const { context } = stream;
      const reason = context.isEnded ? undefined : this.#reasonOf(stream, nowMs);
      if (reason !== undefined) context.abort(reason);
      if (context.isEnded || context.reason !== undefined) this.#streams.delete(stream);
    }
  }

  /** Why a stream must end; undefined if it may go on. */
  #reasonOf({ context, first, fingerprint }: OpenStream, nowMs: number): ConnectError | undefined {
    const who = principal(context) ?? first; // Clients can renew what they have shown.
    const { expiresAtMs } = who;
    const provider = this.#providerOf(who.provider);
    if (provider === undefined) return denied();
    if (expiresAtMs !== undefined && expiresAtMs + (provider.skewMs ?? 0) <= nowMs) {
      return ended("TOKEN_EXPIRED", "the credentials of the call have expired");
    }
    if (provider.hasEnded?.(context) === true) {
      return ended("SESSION_ENDED", "the session of the call has ended");
    }
    const isRevoked =
      this.#revocations.has(who) ||
      (fingerprint !== undefined && this.#revocations.hasCertificate(fingerprint));
    return isRevoked ? ended("TOKEN_REVOKED", "the credentials of the call are revoked") : undefined;
  }
}

function ended(reason: AuthReason, message: string): ConnectError {
  return refusal({ kind: "unauthenticated", code: Code.Unauthenticated, reason, message });
}

function denied(): ConnectError {
  const message = "the credentials of the call are not accepted any more";
  return refusal({ kind: "denied", code: Code.PermissionDenied, reason: "ACCESS_DENIED", message });
}
