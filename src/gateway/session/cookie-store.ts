import { toBinary } from "@bufbuild/protobuf";
import { SessionRecordSchema, type SessionRecord } from "../../../gen/ts_ms/session/v1/session_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { EndedSessions } from "./ended-sessions.ts";
import { knownSession, lives, type KnownSession, type SessionStore } from "./session-store.ts";
import type { SessionKeys } from "./session-keys.ts";

/** A larger cookie is not sent: browsers drop those of more than 4,096 bytes, their name included. */
const maxCookieBytes = 4_000;
/** A larger cookie is not looked at. */
const maxReadBytes = 4_096;
/** So many cookies are decrypted once alone. */
const maxRemembered = 1_000;

/** What a `CookieStore` is made of. */
export interface CookieStoreParts {
  readonly name: string;
  readonly provider: string;
  /** The keys of now. */
  readonly keys: () => SessionKeys;
  readonly ended: EndedSessions;
  readonly wallMs: () => number;
  readonly close: () => void;
}

/** Sessions that are in their cookies, encrypted. What ends before its time is on a list, by its name. */
export class CookieStore implements SessionStore {
  readonly isInCookie = true;
  readonly #parts: CookieStoreParts;
  readonly #remembered = new Map<string, KnownSession>();
  #keys: SessionKeys;

  constructor(parts: CookieStoreParts) {
    this.#parts = parts;
    this.#keys = parts.keys();
  }

  read(value: string): KnownSession | undefined | Promise<KnownSession | undefined> {
    const known = this.#open(value);
    if (known === undefined) return undefined;
    const found = this.#parts.ended.find(known.record);
    if (typeof found === "boolean") return found ? undefined : known;
    return found.then((isEnded) => (isEnded ? undefined : known));
  }

  write(record: SessionRecord): { readonly value: string; readonly done: undefined } {
    const value = this.#parts.keys().seal(toBinary(SessionRecordSchema, record));
    const bytes = this.#parts.name.length + 1 + value.length;
    if (bytes > maxCookieBytes) {
      const text = `the session takes ${bytes} bytes of a cookie, of ${maxCookieBytes} that browsers keep: keep less in it, or use the store redis`;
      throw new ConnectError(text, Code.Internal);
    }
    return { value, done: undefined };
  }

  end(record: SessionRecord): Promise<unknown> | undefined {
    return this.#parts.ended.end(record);
  }

  hasEnded(record: SessionRecord): boolean {
    return this.#parts.ended.watch(record);
  }

  close(): void {
    this.#parts.close();
  }

  #open(value: string): KnownSession | undefined {
    const { keys: keysOf, provider, wallMs } = this.#parts;
    const keys = keysOf();
    if (keys !== this.#keys) {
      this.#keys = keys; // A key may have been removed.
      this.#remembered.clear();
    }
    const before = this.#remembered.get(value);
    if (before !== undefined) {
      if (lives(before.record, wallMs())) return before;
      this.#remembered.delete(value);
      return undefined;
    }
    const bytes = value.length > maxReadBytes ? undefined : keys.open(value);
    const known = bytes === undefined ? undefined : knownSession(bytes, provider, wallMs());
    if (known !== undefined) {
      const [oldest] = this.#remembered.size >= maxRemembered ? this.#remembered.keys() : [];
      if (oldest !== undefined) this.#remembered.delete(oldest);
      this.#remembered.set(value, known);
    }
    return known;
  }
}
