import { createHash } from "node:crypto";

const plain = /^[A-Za-z0-9_-]+$/;
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV";
/** The longest token in the name of a stream: NATS makes files of these names. */
const longest = 128;

/** A name as one token of a subject: itself, or behind `=` in base32hex. */
export function tokenOf(name: string): string {
  return plain.test(name) ? name : `=${base32hex(Buffer.from(name))}`;
}

/** Topic and name of a room of a path, as `pathOf` has made it. */
export function splitPath(path: string): { readonly topic: string; readonly room: string } {
  const at = path.indexOf("/"); // Names of topics have none.
  return at === -1 ? { topic: path, room: "" } : { topic: path.slice(0, at), room: path.slice(at + 1) };
}

/** The subjects and streams of a hub. */
export class HubSubjects {
  readonly #prefix: string;
  /** The stream of what is known of rooms and keys. */
  readonly state: string;

  /** @param hub letters, digits, `_` and `-` */
  constructor(hub: string) {
    this.#prefix = `hub.${hub}`;
    this.state = `hub=${hub}`;
  }

  /** Subjects of the stream of the state. */
  get ofState(): readonly string[] {
    return [`${this.#prefix}.cleared.>`, `${this.#prefix}.cursor.>`];
  }

  get ofAllCleared(): string {
    return `${this.#prefix}.cleared.>`;
  }

  /** The last time that a room was cleared. */
  cleared(path: string): string {
    const { topic, room } = splitPath(path);
    return `${this.#prefix}.cleared.${tokenOf(topic)}.${tokenOf(room)}`;
  }

  /** @param key any text */
  cursor(key: string): string {
    return `${this.#prefix}.cursor.${digest(key)}`;
  }

  /** Frames for one node, or for `all`. */
  node(id: string): string {
    return `${this.#prefix}.node.${tokenOf(id)}`;
  }

  /** What the buses say to one another. */
  get buses(): string {
    return `${this.#prefix}.buses`;
  }

  topic(topic: string): TopicSubjects {
    const token = tokenOf(topic);
    const name = token.length > longest ? `=${digest(topic)}` : token;
    return new TopicSubjects(this.#prefix, token, `${this.state}=${name}`);
  }
}

/** The subjects and streams of a topic. */
export class TopicSubjects {
  readonly #numbered: string;
  readonly #live: string;
  /** The stream that numbers publications. */
  readonly numbers: string;
  /** The stream that keeps what the first one has numbered. */
  readonly kept: string;

  constructor(prefix: string, token: string, stream: string) {
    this.#numbered = `${prefix}.publish.${token}`;
    this.#live = `${prefix}.live.${token}`;
    this.numbers = `${stream}=numbers`;
    this.kept = `${stream}=kept`;
  }

  /** Where publications of a room are numbered; `*` for all rooms. @param token of the room */
  numbered(token: string): string {
    return `${this.#numbered}.${token}`;
  }

  /** Where those with numbers are told and kept. @param token of the room, `*`, or the wildcard of a stream */
  told(token: string): string {
    return `${this.#live}.${token}.kept`;
  }

  /** Where those without numbers are told. */
  toldOnly(token: string): string {
    return `${this.#live}.${token}.only`;
  }

  /** Everything that is told of a room. */
  live(token: string): string {
    return `${this.#live}.${token}.*`;
  }
}

/** 32 characters that stand for a text. */
export function digest(text: string): string {
  return base32hex(createHash("sha256").update(text).digest().subarray(0, 20));
}

function base32hex(bytes: Uint8Array): string {
  let text = "";
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += digits[(value >>> bits) & 31];
    }
  }
  return bits > 0 ? text + digits[(value << (5 - bits)) & 31] : text;
}
