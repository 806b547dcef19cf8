import type { X509Certificate } from "node:crypto";
import type { Duplex } from "node:stream";
import { createContextKey, type ContextKey, type HandlerContext } from "@connectrpc/connect";

/**
 * The identity of a client, from a certificate that it has presented and that a trusted authority has signed.
 *
 * Its names are the certificate's subject alternative names (RFC 5280 4.2.1.6). Names are compared as whole strings: a
 * wildcard matches only itself. The common name of the subject is not used.
 */
export interface PeerIdentity {
  /**
   * The subject in the form of RFC 4514, with non-ASCII bytes as hex pairs: `CN=J\C3\BCrgen,O=Example`. May be empty.
   */
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
 * The verified identity of a call's client, for every protocol. Undefined for clients without a certificate, with one
 * that no trusted authority has signed, or with one without alternative names. Interceptors read it from the
 * `contextValues` of their request.
 */
export function peerIdentity(context: Pick<HandlerContext, "values">): PeerIdentity | undefined {
  return context.values.get(peerIdentityKey);
}

const identity = Symbol("identity of the peer");

/** Sets the identity of the peer of a connection. */
export function identify(connection: Duplex, peer: PeerIdentity): void {
  Object.defineProperty(connection, identity, { value: peer });
}

/** The identity of the peer of a connection, as set by `identify`; undefined for an anonymous peer. */
export function identityOf(connection: Duplex): PeerIdentity | undefined {
  return (connection as { readonly [identity]?: PeerIdentity })[identity]; // Set by `identify` alone.
}

type NameKind = "uris" | "dnsNames" | "emails" | "ipAddresses";

/** Kinds of alternative names by the labels that Node writes. */
const kinds: Readonly<Record<string, NameKind>> = {
  URI: "uris",
  DNS: "dnsNames",
  email: "emails",
  "IP Address": "ipAddresses",
};

/**
 * The identity in a certificate that is known to be trusted. Undefined if it has no alternative name of a supported
 * kind, or one with characters other than visible ASCII: other software may cut a name at a NUL and read another name.
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

/** Parses Node's `KIND:name, KIND:"name in JSON"`. */
function* alternativeNames(text: string): Generator<[kind: string, name: string]> {
  for (const [, kind = "", name = ""] of text.matchAll(/([^:,]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy)) {
    yield [kind, name.startsWith('"') ? String(JSON.parse(name)) : name];
  }
}

/** Node writes a subject in lines, escaped as in RFC 4514, with the most significant part first. */
function toRfc4514(subject: string | undefined): string {
  if (subject === undefined || subject === "") return "";
  const parts = subject.split("\n").map((part) => part.replaceAll(" + ", "+"));
  return parts
    .reverse()
    .join(",")
    .replace(/[^ -~]+/g, (text) => Buffer.from(text).toString("hex").toUpperCase().replace(/../g, "\\$&"));
}
