import type { PeerIdentity } from "./peer-identity.ts";

/**
 * The value of `x-forwarded-client-cert` for a client, in the form of Envoy: `Hash=…;Subject="…";URI=…;DNS=…`, and
 * beside its keys `Email` and `IP`. Values with a comma, a semicolon, an equals sign, a quote or a backslash are
 * quoted, and quotes and backslashes in them are escaped with a backslash.
 */
export function formatClientCert(peer: PeerIdentity): string {
  const { fingerprint, subject, uris, dnsNames, emails, ipAddresses } = peer;
  const pairs = [`Hash=${fingerprint}`, `Subject=${quote(subject)}`];
  for (const uri of uris) pairs.push(`URI=${value(uri)}`);
  for (const name of dnsNames) pairs.push(`DNS=${value(name)}`);
  for (const email of emails) pairs.push(`Email=${value(email)}`);
  for (const address of ipAddresses) pairs.push(`IP=${value(address)}`);
  return pairs.join(";");
}

/** One pair and its separator. */
const pair = /([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;=\\]*)(;|$)/gy;

/**
 * Parses the value of `x-forwarded-client-cert`. Undefined if it is malformed, has no alternative name, or describes
 * several clients, as a chain of proxies writes it: then it is unknown which of them was verified.
 */
export function parseClientCert(text: string): PeerIdentity | undefined {
  const found = new Map<string, string[]>();
  let end = 0;
  for (const match of text.matchAll(pair)) {
    const [whole, key = "", written = "", behind] = match;
    const list = found.get(key.toLowerCase()) ?? [];
    found.set(key.toLowerCase(), list);
    list.push(written.startsWith('"') ? written.slice(1, -1).replace(/\\(["\\])/g, "$1") : written);
    end = match.index + whole.length;
    if (behind === "") break;
  }
  if (end < text.length || text.endsWith(";")) return undefined;
  const of = (key: string): readonly string[] => (found.get(key) ?? []).filter((name) => name !== "");
  const peer: PeerIdentity = {
    subject: of("subject")[0] ?? "",
    uris: of("uri"),
    dnsNames: of("dns"),
    emails: of("email"),
    ipAddresses: of("ip"),
    fingerprint: of("hash")[0] ?? "",
  };
  const names = [...peer.uris, ...peer.dnsNames, ...peer.emails, ...peer.ipAddresses];
  return names.length > 0 && names.every((name) => /^[!-~]+$/.test(name)) ? peer : undefined;
}

function value(text: string): string {
  return /[",;=\\]/.test(text) ? quote(text) : text;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
