import { strict as assert } from "node:assert";
import { describe, test } from "node:test";
import { ClientAddresses } from "../../../src/core/admission/client-address.ts";

const trusted = ["10.0.0.0/8", "fd00::/8", "192.0.2.1"];

interface Sent {
  readonly "x-forwarded-for"?: readonly string[];
  readonly forwarded?: readonly string[];
}

async function clientOf(remote: string | undefined, sent: Sent, proxies = trusted): Promise<string> {
  const addresses = new ClientAddresses(proxies);
  const headers: Readonly<Record<string, readonly string[] | undefined>> = { ...sent };
  const { ip, trusted: isForwarded } = addresses.of({ headerValues: (name) => headers[name] ?? [] }, remote);
  return isForwarded ? `${ip} behind a proxy` : ip;
}

describe("the address of a client", () => {
  const rows: readonly (readonly [remote: string | undefined, sent: Sent, expected: string])[] = [
    ["203.0.113.9", {}, "203.0.113.9"],
    ["::ffff:203.0.113.9", {}, "203.0.113.9"],
    ["FE80::1%eth0", {}, "fe80::1"],
    [undefined, {}, ""],
    [undefined, { "x-forwarded-for": ["203.0.113.9"] }, ""],
    // Nobody is believed who is no proxy.
    ["203.0.113.9", { "x-forwarded-for": ["198.51.100.7"] }, "203.0.113.9"],
    ["203.0.113.9", { forwarded: ["for=198.51.100.7"] }, "203.0.113.9"],
    ["11.0.0.1", { "x-forwarded-for": ["198.51.100.7"] }, "11.0.0.1"],
    ["10.1.2.3", {}, "10.1.2.3"],
    ["10.1.2.3", { "x-forwarded-for": ["198.51.100.7"] }, "198.51.100.7 behind a proxy"],
    ["::ffff:10.1.2.3", { "x-forwarded-for": ["198.51.100.7"] }, "198.51.100.7 behind a proxy"],
    ["192.0.2.1", { "x-forwarded-for": ["198.51.100.7"] }, "198.51.100.7 behind a proxy"],
    ["fd00::1", { "x-forwarded-for": ["2001:DB8::7"] }, "2001:db8::7 behind a proxy"],
    // The rightmost one that is no proxy: what stands before it may be the client's own invention.
    ["10.1.2.3", { "x-forwarded-for": ["1.1.1.1, 198.51.100.7"] }, "198.51.100.7 behind a proxy"],
    ["10.1.2.3", { "x-forwarded-for": ["1.1.1.1, 198.51.100.7, 10.9.9.9"] }, "198.51.100.7 behind a proxy"],
    [
      "10.1.2.3",
      { "x-forwarded-for": ["1.1.1.1", "198.51.100.7", "fd00::2"] },
      "198.51.100.7 behind a proxy",
    ],
    ["10.1.2.3", { "x-forwarded-for": ["10.4.4.4, 10.5.5.5"] }, "10.4.4.4 behind a proxy"],
    ["10.1.2.3", { "x-forwarded-for": ["198.51.100.7:4711"] }, "198.51.100.7 behind a proxy"],
    ["10.1.2.3", { "x-forwarded-for": ["[2001:db8::7]:4711"] }, "2001:db8::7 behind a proxy"],
    ["10.1.2.3", { "x-forwarded-for": ["::ffff:198.51.100.7"] }, "198.51.100.7 behind a proxy"],
    // What cannot be read ends the search.
    ["10.1.2.3", { "x-forwarded-for": ["198.51.100.7, unknown"] }, "10.1.2.3"],
    ["10.1.2.3", { "x-forwarded-for": ["198.51.100.7, unknown, 10.9.9.9"] }, "10.9.9.9 behind a proxy"],
    ["10.1.2.3", { "x-forwarded-for": ["198.51.100.7,"] }, "10.1.2.3"],
    ["10.1.2.3", { "x-forwarded-for": ["198.51.100.256"] }, "10.1.2.3"],
    ["10.1.2.3", { "x-forwarded-for": ["0x7f.1"] }, "10.1.2.3"],
    ["10.1.2.3", { forwarded: ["for=198.51.100.7;proto=https;by=10.1.2.3"] }, "198.51.100.7 behind a proxy"],
    ["10.1.2.3", { forwarded: ['For="[2001:db8::7]:4711"'] }, "2001:db8::7 behind a proxy"],
    [
      "10.1.2.3",
      { forwarded: ["for=1.1.1.1, for=198.51.100.7, for=10.9.9.9"] },
      "198.51.100.7 behind a proxy",
    ],
    [
      "10.1.2.3",
      { forwarded: ['for="1.1.1.1, for=2.2.2.2", for=198.51.100.7'] },
      "198.51.100.7 behind a proxy",
    ],
    ["10.1.2.3", { forwarded: ["for=198.51.100.7, for=_hidden"] }, "10.1.2.3"],
    ["10.1.2.3", { forwarded: ["for=198.51.100.7, by=10.0.0.9"] }, "10.1.2.3"],
    ["10.1.2.3", { forwarded: ["for=1.1.1.1;for=198.51.100.7"] }, "10.1.2.3"],
    ["10.1.2.3", { forwarded: ['for="198.51.100.7'] }, "10.1.2.3"],
    // A proxy that sets one of the two passes on the other one as it came.
    [
      "10.1.2.3",
      { "x-forwarded-for": ["198.51.100.7"], forwarded: ["for=198.51.100.7"] },
      "198.51.100.7 behind a proxy",
    ],
    ["10.1.2.3", { "x-forwarded-for": ["198.51.100.7"], forwarded: ["for=1.1.1.1"] }, "10.1.2.3"],
  ];
  for (const [remote, sent, expected] of rows) {
    test(`${remote} ${JSON.stringify(sent)}`, async () =>
      assert.equal(await clientOf(remote, sent), expected));
  }

  test("without proxies no header counts", async () => {
    assert.equal(await clientOf("10.1.2.3", { "x-forwarded-for": ["198.51.100.7"] }, []), "10.1.2.3");
  });
});

test("a range that is none is refused, with what to write", () => {
  for (const range of [
    "10.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/0",
    "fd00::/129",
    "10.0.0.0/8/8",
    "proxy",
    "",
    "10.0.0.0/",
  ]) {
    assert.throws(
      () => new ClientAddresses([range]),
      /trustedProxies: .* is no address and no range: write one such as/,
    );
  }
});
