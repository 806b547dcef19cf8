import type { HandlerContext } from "@connectrpc/connect";
import { peerIdentity } from "../../core/metadata/peer-identity.ts";
import { principal } from "../../core/security/principal.ts";

/** Who a connection belongs to. */
export interface Identity {
  /** By which its connections are found together. Default: none, an anonymous client. */
  readonly user?: string | undefined;
  /** What connections are selected by, such as `{ plan: "pro" }`: at most 16, names and values up to 128 bytes. Default: none. */
  readonly tags?: Readonly<Record<string, string>> | undefined;
  /** When the identity ends, in milliseconds since 1970. Default: never. */
  readonly expiresAtMs?: number | undefined;
}

const maxTags = 16;
const maxTagBytes = 128;

/** The id of the principal of a call, else the first name of the client's certificate, else none. */
export function defaultIdentity(context: HandlerContext): Identity {
  const found = principal(context);
  if (found !== undefined) return { user: found.id, expiresAtMs: found.expiresAtMs };
  const peer = peerIdentity(context);
  if (peer === undefined) return {};
  const { uris, dnsNames, emails, ipAddresses } = peer;
  return { user: [...uris, ...dnsNames, ...emails, ...ipAddresses][0] };
}

/** @throws Error for what the option `identify` must not return; it is a fault of the program */
export function checkedIdentity({ user, tags, expiresAtMs }: Identity): Identity {
  checkTags(tags, "identify");
  return { user: user === "" ? undefined : user, tags, expiresAtMs };
}

/** @param from the function that returns them. @throws Error for tags beyond the limits; it is a fault of the program */
export function checkTags(tags: Identity["tags"], from: string): void {
  if (tags === undefined) return;
  const entries = Object.entries(tags);
  if (entries.length > maxTags) throw new Error(`${from}: ${entries.length} tags; at most ${maxTags}`);
  for (const text of entries.flat()) {
    if (Buffer.byteLength(text) > maxTagBytes) {
      throw new Error(`${from}: a tag is longer than ${maxTagBytes} bytes: ${text.slice(0, 32)}…`);
    }
  }
}

/** The value of a tag; undefined for none. */
export function tagOf(tags: Identity["tags"], name: string): string | undefined {
  return tags !== undefined && Object.hasOwn(tags, name) ? tags[name] : undefined;
}
