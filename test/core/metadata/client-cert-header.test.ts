import assert from "node:assert/strict";
import { test } from "node:test";
import { formatClientCert, parseClientCert } from "../../../src/core/metadata/client-cert-header.ts";
import type { PeerIdentity } from "../../../src/core/metadata/peer-identity.ts";

const nobody: PeerIdentity = {
  subject: "",
  uris: [],
  dnsNames: [],
  emails: [],
  ipAddresses: [],
  fingerprint: "",
};

test("I14: values with separators and quotes are escaped, and read back as they were", () => {
  const peer: PeerIdentity = {
    subject: 'CN=a\\, b\\; \\"c\\" J\\C3\\BCrgen,O=x',
    uris: ["spiffe://here/a", "x:a;b,c=d", 'y:"quoted"\\'],
    dnsNames: ["*.example.com", "a.b"],
    emails: ["a@b"],
    ipAddresses: ["127.0.0.1", "0:0:0:0:0:0:0:1"],
    fingerprint: "00ff",
  };
  const text = formatClientCert(peer);
  assert.equal(
    text,
    'Hash=00ff;Subject="CN=a\\\\, b\\\\; \\\\\\"c\\\\\\" J\\\\C3\\\\BCrgen,O=x"' +
      ';URI=spiffe://here/a;URI="x:a;b,c=d";URI="y:\\"quoted\\"\\\\"' +
      ";DNS=*.example.com;DNS=a.b;Email=a@b;IP=127.0.0.1;IP=0:0:0:0:0:0:0:1",
  );
  assert.deepEqual(parseClientCert(text), peer);
});

const read: readonly [text: string, peer: Partial<PeerIdentity> | undefined][] = [
  // As Envoy writes it.
  [
    'By=http://me;Hash=ab;Subject="/C=US/CN=Test";URI=http://you;DNS=a.b;DNS=c.d',
    { fingerprint: "ab", subject: "/C=US/CN=Test", uris: ["http://you"], dnsNames: ["a.b", "c.d"] },
  ],
  ["uri=x:y", { uris: ["x:y"] }],
  ["URI=", undefined],
  ["", undefined],
  ["Hash=ab", undefined],
  ['Subject="CN=a"', undefined],
  ["DNS=a,DNS=b", undefined],
  ['DNS=a,By=x;URI="y:z"', undefined],
  ["DNS=a;", undefined],
  [";DNS=a", undefined],
  ["DNS", undefined],
  ['DNS="a', undefined],
  ['DNS="a"b', undefined],
  ['DNS=a"b', undefined],
  ["DNS=a\\;URI=b", undefined],
  ["DNS=a b", undefined],
  ["DNS=a\u0000b", undefined],
];

test("I14: what is malformed, names nobody or several clients is no identity", () => {
  for (const [text, peer] of read) {
    assert.deepEqual(parseClientCert(text), peer === undefined ? undefined : { ...nobody, ...peer }, text);
  }
});
