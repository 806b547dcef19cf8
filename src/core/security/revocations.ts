import { SetupError } from "../errors/setup-error.ts";
import type { Principal } from "./principal.ts";

/** What a line of the file of revoked credentials names. */
const kinds = ["jti", "sub", "key", "cert"] as const;

type RevokedKind = (typeof kinds)[number];

/** What is revoked, by kind. */
export type RevokedNames = Readonly<Record<RevokedKind, ReadonlySet<string>>>;

const nothing: RevokedNames = { jti: new Set(), sub: new Set(), key: new Set(), cert: new Set() };

/**
 * Reads a file of revoked credentials: one `jti:ID` or `sub:ID` of tokens, `key:ID` of API keys, `sub:ID` of users or
 * `cert:SHA256` of certificates a line. Empty lines and those that begin with `#` are skipped.
 *
 * @throws SetupError naming file and line
 */
export function parseRevocations(text: string, file: string): RevokedNames {
  const names = {
    jti: new Set<string>(),
    sub: new Set<string>(),
    key: new Set<string>(),
    cert: new Set<string>(),
  };
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    const colon = line.indexOf(":");
    const kind = kinds.find((known) => known === line.slice(0, colon));
    const name = line.slice(colon + 1).trim();
    if (kind === undefined || name === "") {
      throw new SetupError(`${file}:${index + 1}: a line must be jti:ID, sub:ID, key:ID or cert:SHA256`);
    }
    names[kind].add(kind === "cert" ? readFingerprint(name, `${file}:${index + 1}`) : name);
  }
  return names;
}

function readFingerprint(text: string, place: string): string {
  const fingerprint = text.replaceAll(":", "").toLowerCase();
  if (/^[0-9a-f]{64}$/.test(fingerprint)) return fingerprint;
  throw new SetupError(`${place}: the SHA-256 of a certificate must be 64 hex digits`);
}

/** Credentials that count no longer, although they have not ended. */
export class Revocations {
  #names = nothing;
  #isEmpty = true;
  readonly #listeners = new Set<() => void>();
  readonly #endListeners = new Set<() => void>();
  #isEndDue = false;

  /** Replaces what is revoked, and notifies the listeners. */
  set(names: RevokedNames): void {
    this.#names = names;
    this.#isEmpty = kinds.every((kind) => names[kind].size === 0);
    for (const listener of this.#listeners) listener();
  }

  /** Calls a function after each change. @returns the function that unsubscribes */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls a function after credentials were ended by their owners. @returns the function that unsubscribes */
  onEnd(listener: () => void): () => void {
    this.#endListeners.add(listener);
    return () => this.#endListeners.delete(listener);
  }

  /**
   * Reports that a credential was ended by its owner, as its provider knows. Listeners are called by a microtask, once
   * for all reports before it.
   */
  reportEnd(): void {
    if (this.#isEndDue) return;
    this.#isEndDue = true;
    queueMicrotask(() => {
      this.#isEndDue = false;
      for (const listener of this.#endListeners) listener();
    });
  }

  /** Whether the credential of a principal is revoked. */
  has({ kind, id, claims }: Principal): boolean {
    if (this.#isEmpty) return false;
    const { jti, sub, key, cert } = this.#names;
    if (kind === "api-key") return key.has(id);
    if (kind === "mtls") return cert.has(text(claims["fingerprint"]));
    return sub.has(id) || jti.has(text(claims["jti"])) || sub.has(text(claims["sub"]));
  }

  /** Whether a certificate is revoked. @param fingerprint SHA-256 in lower-case hex */
  hasCertificate(fingerprint: string): boolean {
    return this.#names.cert.has(fingerprint);
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
