import { toBinary } from "@bufbuild/protobuf";
import { SessionRecordSchema, type SessionRecord } from "../../../gen/ts_ms/session/v1/session_pb.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import { BoundedMap } from "../../core/security/bounded-map.ts";
import type { EndedSessions } from "./ended-sessions.ts";
import { knownSession, lives, type KnownSession, type SessionStore } from "./session-store.ts";
import type { SessionKeys } from "./session-keys.ts";

/** A larger cookie is not sent: browsers drop those of more than 4,096 bytes, their name included. */
const maxCookieBytes = 4_000;
/** A larger cookie is not looked at. */
const maxReadBytes = 4_096;
/** So many cookies are decrypted once alone, while what is remembered of them needs no more memory than that. */
const maxRemembered = 10_000;
const maxRememberedBytes = 16 * 1024 * 1024;
/** Memory of a session beside its cookie and its data, in bytes. */
const sessionBytes = 1_280;

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
  readonly #remembered = new BoundedMap<KnownSession>({ entries: maxRemembered, bytes: maxRememberedBytes });
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
      if (lives(before, wallMs())) return before;
      this.#remembered.delete(value);
      return undefined;
    }
    const bytes = value.length > maxReadBytes ? undefined : keys.open(value);
    if (bytes === undefined) return undefined;
    const known = knownSession(bytes, provider, wallMs());
    // Its texts stand in the record and in the principal.
    if (known !== undefined)
      this.#remembered.set(value, known, sessionBytes + value.length + 2 * bytes.length);
    return known;
  }
}
