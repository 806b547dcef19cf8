import assert from "node:assert/strict";
import { test } from "node:test";
import { isCompressible, negotiateCoding } from "../../../../src/gateway/http/browsers/content-coding.ts";
import { matchesTag } from "../../../../src/gateway/http/browsers/entity-tag.ts";

const codings: readonly (readonly [string | undefined, string | undefined])[] = [
  [undefined, undefined],
  ["", undefined],
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["GZip", "gzip"],
  ["gzip, deflate, br", "br"],
  ["gzip, deflate, br, zstd", "zstd"],
  ["gzip;q=0.9, br;q=0.5, zstd;q=0.1", "gzip"],
  ["gzip;q=0", undefined],
  ["gzip; Q=0.8 , br ; q=0.81", "br"],
  ["*", "zstd"],
  ["*;q=0.1, gzip;q=0.2", "gzip"],
  ["*, zstd;q=0, br;q=0", "gzip"],
  ["*;q=0", undefined],
  ["identity", undefined],
  ["identity;q=1, gzip;q=0.5", undefined],
  ["identity;q=0.5, gzip;q=1", "gzip"],
  ["deflate, compress, lzma", undefined],
];

test("codings are chosen by quality", () => {
  for (const [header, expected] of codings)
    assert.equal(negotiateCoding(header)?.name, expected, header ?? "none");
});

test("only what gets smaller is compressed", () => {
  const yes = [
    "application/json",
    "application/json; charset=utf-8",
    "application/x-ndjson",
    "text/event-stream",
    "text/html;charset=utf-8",
    "image/svg+xml",
    "application/problem+json",
    "application/proto",
  ];
  const no = [
    "",
    "image/png",
    "video/mp4",
    "application/zip",
    "application/octet-stream",
    "font/woff2",
    "jsonp/x",
  ];
  for (const type of yes) assert.equal(isCompressible(type), true, type);
  for (const type of no) assert.equal(isCompressible(type), false, type);
});

test("tags match weakly", () => {
  for (const [header, tag, expected] of [
    ['"a"', '"a"', true],
    ['W/"a"', '"a"', true],
    ['"a"', 'W/"a"', true],
    ['"b", W/"a"', '"a"', true],
    ["*", '"a"', true],
    ['"b"', '"a"', false],
    ["a", '"a"', false],
    ['"a,b"', '"a"', false],
  ] as const) {
    assert.equal(matchesTag(header, tag), expected, `${header} ${tag}`);
  }
});
