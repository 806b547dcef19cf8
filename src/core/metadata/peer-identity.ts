import type { X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import { createContextKey, type ContextKey, type HandlerContext } from "@connectrpc/connect";

/**
 * Who a client is, by the certificate that it has shown and that a trusted authority has signed.
 *
 * Its names are the certificate's subject alternative names (RFC 5280 4.2.1.6). They are compared whole: a wildcard is
 * a name like any other and stands for nothing else. A common name is no name.
 */
export interface PeerIdentity {
  /** The subject as RFC 4514 writes it, what is not ASCII as hex pairs: `CN=J\C3\BCrgen,O=Example`. May be empty. */
  readonly subject: string;
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly emails: readonly string[];
  readonly ipAddresses: readonly string[];
  /** SHA-256 of the certificate, in lower-case hex. */
  readonly fingerprint: string;
}

/** Context value that holds the identity of a call's client. */
export const peerIdentityKey: ContextKey<PeerIdentity | undefined> = createContextKey<
  PeerIdentity | undefined
>(undefined, { description: "identity of the client" });

/**
 * Who the client of a call is, however the call came; undefined for clients without a certificate, with one that no
 * trusted authority has signed, or with one without alternative names. Interceptors ask the `contextValues` of their
 * request for it.
 */
export function peerIdentity(context: Pick<HandlerContext, "values">): PeerIdentity | undefined {
  return context.values.get(peerIdentityKey);
}

const identity = Symbol("identity of the peer");

/** Says who is at the other end of a connection. */
export function identify(connection: Duplex, peer: PeerIdentity): void {
  Object.defineProperty(connection, identity, { value: peer });
}

/** Who is at the other end of a connection, as `identify` was told; undefined for nobody who is known. */
export function identityOf(connection: Duplex): PeerIdentity | undefined {
  return (connection as { readonly [identity]?: PeerIdentity })[identity]; // Set by `identify` alone.
}

type NameKind = "uris" | "dnsNames" | "emails" | "ipAddresses";

/** Names of kinds of names, as Node writes them. */
const kinds: Readonly<Record<string, NameKind>> = {
  URI: "uris",
  DNS: "dnsNames",
  email: "emails",
  "IP Address": "ipAddresses",
};

/**
 * The identity in a certificate that is known to be trusted; undefined where it has no alternative name of a kind that
 * is known here, or one that is not made of visible ASCII: a name with a NUL reads as another one elsewhere.
 */
export function certificateIdentity(certificate: X509Certificate): PeerIdentity | undefined {
  const names: Record<NameKind, string[]> = { uris: [], dnsNames: [], emails: [], ipAddresses: [] };
  let found = false;
  for (const [kind, name] of alternativeNames(certificate.subjectAltName ?? "")) {
    const list = kinds[kind];
    if (list === undefined) continue;
    if (!/^[!-~]+$/.test(name)) return undefined;
    names[list].push(name);
    found = true;
  }
  if (!found) return undefined;
  return {
    subject: toRfc4514(certificate.subject),
    ...names,
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

/** Reads Node's `KIND:name, KIND:"name in JSON"`. */
function* alternativeNames(text: string): Generator<[kind: string, name: string]> {
  for (const [, kind = "", name = ""] of text.matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy)) {
    yield [kind, name.startsWith('"') ? String(JSON.parse(name)) : name];
  }
}

/** Node writes a subject in lines, escaped as in RFC 4514, the most significant part first. */
function toRfc4514(subject: string | undefined): string {
  if (subject === undefined || subject === "") return "";
  const parts = subject.split("\n").map((part) => part.replaceAll(" + ", "+"));
  return parts
    .reverse()
    .join(",")
    .replace(/[^ -~]+/g, (text) => Buffer.from(text).toString("hex").toUpperCase().replace(/../g, "\\$&"));
}
