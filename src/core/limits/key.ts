import { createHash } from "node:crypto";
import type { JsonValue } from "@bufbuild/protobuf";
import type { CallHead } from "../admission/call-head.ts";
import { rpcName } from "../call/service.ts";
import { SetupError } from "../errors/setup-error.ts";
import { principal, type Principal } from "../security/principal.ts";
import { networkOf } from "../net/client-network.ts";

/** Takes the texts of a key. A tag says what a text is, so that an address is never taken for a claim. */
export interface KeySink {
  add(tag: number, text: string): void;
}

type WritePart = (call: CallHead, sink: KeySink) => void;

interface KeyPart {
  readonly write: WritePart;
  readonly needsPrincipal: boolean;
  /** Writes what an operator has named. */
  readonly writeText: (text: string, sink: KeySink) => void;
}

const tags = { ip: 1, principal: 2, claim: 3, header: 4, rpc: 5, route: 6, door: 7 } as const;

/** Longest part of a header that counts, in bytes. */
const maxHeaderBytes = 128;

/** What calls are counted by. */
export class LimitKey {
  /** The same for keys of the same parts. */
  readonly text: string;
  /** Whether the key can only be known once the caller is. */
  readonly needsPrincipal: boolean;
  /** Whether all calls of an rpc have the same key. */
  readonly isOfRpc: boolean;
  readonly #parts: readonly KeyPart[];
  /** Those that calls of one rpc differ in. */
  readonly #rest: readonly KeyPart[];

  /**
   * @param parts `ip`, `principal`, `claim:NAME`, `header:NAME`, `rpc`, `route`, `door`, `global`
   * @throws SetupError naming what is none of these
   */
  constructor(parts: readonly string[]) {
    this.text = parts.join(" ");
    this.#parts = parts.filter((part) => part !== "global").map(toPart);
    this.#rest = this.#parts.filter((part) => !isFixed(part));
    this.needsPrincipal = this.#parts.some((part) => part.needsPrincipal);
    this.isOfRpc = this.#rest.length === 0;
  }

  /** As stores keep it. */
  write(call: CallHead, sink: KeySink): void {
    for (const { write } of this.#parts) write(call, sink);
  }

  /** The parts that are the same for all calls of an rpc; for the hash in this process `writeRest` follows. */
  writeFixed(call: CallHead, sink: KeySink): void {
    for (const part of this.#parts) if (isFixed(part)) part.write(call, sink);
  }

  /** All other parts. */
  writeRest(call: CallHead, sink: KeySink): void {
    for (const { write } of this.#rest) write(call, sink);
  }

  /**
   * Writes a key that an operator names.
   *
   * @param texts one for each part but `global`: an address, `PROVIDER/ID`, the value of the claim or the header, an rpc …
   * @throws TypeError for another number of texts
   */
  writeTexts(texts: readonly string[], sink: KeySink): void {
    this.#writeTexts(this.#parts, texts, sink);
  }

  /** As `writeTexts`, in the order of `writeFixed` and `writeRest`. @throws TypeError as `writeTexts` */
  writeTextsApart(texts: readonly string[], sink: KeySink): void {
    this.#writeTexts(this.#parts.filter(isFixed), texts, sink);
    this.#writeTexts(this.#rest, texts, sink);
  }

  #writeTexts(some: readonly KeyPart[], texts: readonly string[], sink: KeySink): void {
    if (texts.length !== this.#parts.length) {
      throw new TypeError(`the key [${this.text}] has ${this.#parts.length} parts, not ${texts.length}`);
    }
    for (const part of some) part.writeText(texts[this.#parts.indexOf(part)] ?? "", sink);
  }
}

/** Whether all calls of an rpc have the same. */
function isFixed(part: KeyPart): boolean {
  return part === simpleParts["rpc"];
}

/** The SHA-256 of a key, as stores keep it. */
export function storedKey(write: (sink: KeySink) => void): string {
  const hash = createHash("sha256");
  write({ add: (tag, text) => hash.update(`${tag}.${text.length}:${text}`) });
  return hash.digest("base64url");
}

function toPart(text: string): KeyPart {
  const [kind = "", ...rest] = text.split(":");
  const name = rest.join(":");
  if (name === "" && kind === text) {
    const simple = simpleParts[kind];
    if (simple !== undefined) return simple;
  } else if (name !== "" && kind === "claim") {
    return claimPart(name);
  } else if (kind === "header" && /^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    return headerPart(name.toLowerCase());
  }
  throw new SetupError(
    `key ${JSON.stringify(text)}: expected ip, principal, claim:NAME, header:NAME, rpc, route, door or global`,
  );
}

function writeIp(call: CallHead, sink: KeySink): void {
  sink.add(tags.ip, networkOf(call.client.ip));
}

function writePrincipal(call: CallHead, sink: KeySink): void {
  const found = principal(call.context);
  if (found === undefined) writeIp(call, sink);
  else addPrincipal(found, sink);
}

function addPrincipal({ provider, id }: Pick<Principal, "provider" | "id">, sink: KeySink): void {
  sink.add(tags.principal, provider);
  sink.add(tags.principal, id);
}

function tagged(tag: number): KeyPart["writeText"] {
  return (text, sink) => sink.add(tag, text);
}

const simpleParts: Readonly<Record<string, KeyPart>> = {
  ip: {
    needsPrincipal: false,
    write: writeIp,
    writeText: (text, sink) => sink.add(tags.ip, networkOf(text)),
  },
  principal: {
    needsPrincipal: true,
    write: writePrincipal,
    writeText(text, sink) {
      const at = text.indexOf("/");
      addPrincipal({ provider: text.slice(0, at), id: text.slice(at + 1) }, sink);
    },
  },
  rpc: {
    needsPrincipal: false,
    write: (call, sink) => sink.add(tags.rpc, rpcName(call.method)),
    writeText: tagged(tags.rpc),
  },
  route: {
    needsPrincipal: false,
    write: (call, sink) => sink.add(tags.route, call.route ?? rpcName(call.method)),
    writeText: tagged(tags.route),
  },
  door: {
    needsPrincipal: false,
    write: (call, sink) => sink.add(tags.door, call.door),
    writeText: tagged(tags.door),
  },
};

/** A caller without the claim is counted by what he is, never together with all others without it. */
function claimPart(name: string): KeyPart {
  return {
    needsPrincipal: true,
    write(call, sink) {
      const found = principal(call.context);
      const value = found === undefined ? undefined : claimOf(found.claims, name);
      if (value === undefined) writePrincipal(call, sink);
      else sink.add(tags.claim, typeof value === "string" ? value : JSON.stringify(value));
    },
    writeText: tagged(tags.claim),
  };
}

function claimOf(claims: Principal["claims"], name: string): JsonValue | undefined {
  if (Object.hasOwn(claims, name)) return claims[name] ?? undefined;
  let value: JsonValue | undefined = claims;
  for (const part of name.split(".")) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, part) ? value[part] : undefined;
  }
  return value ?? undefined;
}

/** A call without the header is counted by its address, never together with all others without it. */
function headerPart(name: string): KeyPart {
  return {
    needsPrincipal: false,
    write(call, sink) {
      const value = call.header(name);
      if (value === undefined || value === "") writeIp(call, sink);
      else sink.add(tags.header, value.slice(0, maxHeaderBytes));
    },
    writeText: (text, sink) => sink.add(tags.header, text.slice(0, maxHeaderBytes)),
  };
}
