import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  randomBytes,
  type KeyObject,
} from "node:crypto";
import { SetupError } from "../../core/errors/setup-error.ts";

interface SessionKey {
  readonly key: KeyObject;
  /** The protected header of its tokens, which names it. */
  readonly header: string;
  readonly additional: Buffer;
}

const ivBytes = 12;
const tagBytes = 16;

/**
 * The keys of sessions in cookies: compact JWE (RFC 7516) with `dir` and `A256GCM`. A token has exactly the header that
 * this class writes, so that a client cannot choose the algorithm.
 */
export class SessionKeys {
  readonly #first: SessionKey;
  readonly #byHeader = new Map<string, SessionKey>();

  /** @param keys of 32 bytes each: the first encrypts, all decrypt */
  constructor(keys: readonly [Uint8Array, ...Uint8Array[]]) {
    const all = keys.map(toKey);
    this.#first = all[0] ?? toKey(keys[0]);
    for (const key of all) this.#byHeader.set(key.header, key);
  }

  /** A key that is made now. */
  static random(): SessionKeys {
    return new SessionKeys([randomBytes(32)]);
  }

  /** Reads a file of keys, one a line. @throws SetupError naming file and line, never the key */
  static parse(text: string, file: string): SessionKeys {
    const keys: Uint8Array[] = [];
    for (const [index, raw] of text.split("\n").entries()) {
      const line = raw.trim();
      if (line === "" || line.startsWith("#")) continue;
      const bytes = Buffer.from(line, "base64");
      if (!/^[\w+/-]{43}=?$/.test(line) || bytes.length !== 32) {
        throw new SetupError(
          `${file}:${index + 1}: a key must be 32 bytes in base64: openssl rand -base64 32`,
        );
      }
      keys.push(bytes);
    }
    const [first, ...others] = keys;
    if (first === undefined) throw new SetupError(`${file}: has no key: openssl rand -base64 32`);
    return new SessionKeys([first, ...others]);
  }

  seal(content: Uint8Array): string {
    const { key, header, additional } = this.#first;
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: tagBytes });
    cipher.setAAD(additional);
    const text = cipher.update(content, undefined, "base64url") + cipher.final("base64url");
    return `${header}..${iv.toString("base64url")}.${text}.${cipher.getAuthTag().toString("base64url")}`;
  }

  /** The content of a token; undefined for one that is not of these keys, or not as it was made. */
  open(token: string): Buffer | undefined {
    const [header = "", encrypted, ivText = "", text = "", tagText = "", more] = token.split(".");
    const key = this.#byHeader.get(header);
    if (key === undefined || encrypted !== "" || more !== undefined) return undefined;
    const iv = exact(ivText);
    const bytes = exact(text);
    const tag = exact(tagText);
    if (iv?.length !== ivBytes || bytes === undefined || tag?.length !== tagBytes) return undefined;
    const decipher = createDecipheriv("aes-256-gcm", key.key, iv, { authTagLength: tagBytes });
    decipher.setAAD(key.additional);
    decipher.setAuthTag(tag);
    try {
      const content = decipher.update(bytes);
      decipher.final();
      return content;
    } catch {
      return undefined; // The tag does not fit.
    }
  }
}

function toKey(bytes: Uint8Array): SessionKey {
  const kid = createHash("sha256")
    .update("ts-ms session key\0")
    .update(bytes)
    .digest("base64url")
    .slice(0, 8);
  const header = Buffer.from(JSON.stringify({ alg: "dir", enc: "A256GCM", kid })).toString("base64url");
  return { key: createSecretKey(bytes), header, additional: Buffer.from(header, "latin1") };
}

/** The bytes of a text in base64url; undefined for any other text, also one whose last bits are not 0. */
function exact(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}
