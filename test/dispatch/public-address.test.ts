import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import type { LookupFunction } from "node:net";
import { describe, test } from "node:test";
import { Code } from "../../src/core/errors/errors.ts";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import { NotPublic, PublicAddresses } from "../../src/dispatch/public-address.ts";
import { isCallError } from "../support/inbox-calls.ts";

const open = [
  "8.8.8.8",
  "1.1.1.1",
  "100.63.255.255",
  "100.128.0.0",
  "172.32.0.1",
  "223.255.255.255",
  "2606:4700::1111",
  "2a00::1",
];

const closed = {
  "this network": ["0.0.0.0", "0.1.2.3"],
  loopback: ["127.0.0.1", "127.255.255.255", "::1"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "fc00::1", "fd12::1"],
  "link-local, with the metadata of clouds": ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fec0::1"],
  "shared by customers": ["100.64.0.1", "100.127.255.255"],
  multicast: ["224.0.0.1", "239.255.255.255", "ff02::1"],
  "mapped and compatible": ["::ffff:8.8.8.8", "::ffff:10.0.0.1", "::8.8.8.8"],
  "NAT64, 6to4, Teredo": ["64:ff9b::808:808", "64:ff9b:1::1", "2002:a00:1::", "2001:0:1::1"],
  "reserved and for documents": [
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    "4000::1",
  ],
  "no address": ["", "localhost", "8.8.8", "0x7f.1"],
};

/** What a look-up gives. */
function lookUp(addresses: PublicAddresses, found: readonly LookupAddress[], all: boolean): Promise<unknown> {
  const resolve: LookupFunction = (_name, _options, done) => done(null, [...found]);
  return new Promise((given, failed) => {
    addresses.lookup(resolve)("partner.example", { all }, (error, address) =>
      error === null ? given(address) : failed(error),
    );
  });
}

describe("addresses of webhooks", () => {
  const addresses = new PublicAddresses();

  test("public ones are allowed", () => {
    for (const ip of open) assert.ok(addresses.allows(ip), ip);
  });

  for (const [kind, ips] of Object.entries(closed)) {
    test(`others are not: ${kind}`, () => {
      for (const ip of ips) assert.ok(!addresses.allows(ip), ip);
    });
  }

  test("ranges of the option are allowed, and no others", () => {
    const own = new PublicAddresses({ allowAddresses: ["10.1.0.0/16", "::1"] });
    assert.deepEqual(
      ["10.1.2.3", "::1", "10.2.0.1", "::2"].map((ip) => own.allows(ip)),
      [true, true, false, false],
    );
    assert.throws(() => new PublicAddresses({ allowAddresses: ["10.1.0"] }), SetupError);
  });

  const urls: Record<string, RegExp | undefined> = {
    "https://partner.example/hooks?a=b": undefined,
    "https://8.8.8.8/": undefined,
    "/hooks": /no absolute URL/,
    "http://partner.example/": /must be https:/,
    "ftp://partner.example/": /must be https:/,
    "https://user:secret@partner.example/": /no user and no password/,
    "https://partner.example:8443/": /port must be one of 443/,
    "https://127.1/": /not public/,
    "https://2130706433/": /not public/,
    "https://0x7f000001/": /not public/,
    "https://[::1]/": /not public/,
    "https://[::ffff:10.0.0.1]/": /not public/,
    "https://169.254.169.254/latest/meta-data": /not public/,
  };
  for (const [url, why] of Object.entries(urls)) {
    test(`the URL ${url} ${why === undefined ? "can" : "cannot"} be used`, () => {
      if (why === undefined) assert.equal(addresses.checkUrl(url).href, url);
      else assert.throws(() => addresses.checkUrl(url), isCallError(Code.InvalidArgument, why));
    });
  }

  test("http and other ports where they are allowed", () => {
    const lax = new PublicAddresses({ allowHttp: true, ports: [80, 8443] });
    assert.equal(lax.checkUrl("http://partner.example/").port, "");
    assert.equal(lax.checkUrl("https://partner.example:8443/").port, "8443");
    assert.throws(
      () => lax.checkUrl("https://partner.example/"),
      isCallError(Code.InvalidArgument, /one of 80, 8443/),
    );
  });

  test("a name is looked up once, and goes to what was checked", async () => {
    const found = [
      { address: "8.8.8.8", family: 4 },
      { address: "2606:4700::1111", family: 6 },
    ];
    assert.deepEqual(await lookUp(addresses, found, true), found);
    assert.equal(await lookUp(addresses, found, false), "8.8.8.8");
  });

  test("one address that is not public, or none at all, refuses the name", async () => {
    const bad = [
      { address: "8.8.8.8", family: 4 },
      { address: "10.0.0.1", family: 4 },
    ];
    for (const found of [bad, []]) {
      for (const all of [true, false]) {
        await assert.rejects(lookUp(addresses, found, all), (reason) => reason instanceof NotPublic);
      }
    }
  });

  test("a look-up that fails stays what it is", async () => {
    const mine = Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    const failing: LookupFunction = (_name, _options, done) => done(mine, []);
    const looked = new Promise((_, reject) =>
      addresses.lookup(failing)("none.example", {}, (error) => reject(error ?? new Error("found"))),
    );
    await assert.rejects(looked, (reason) => reason === mine);
  });
});
