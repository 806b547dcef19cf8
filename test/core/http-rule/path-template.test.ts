import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { parsePathTemplate, PathTemplateError } from "../../../src/core/http-rule/path-template.ts";
import type { PathTemplate } from "../../../src/core/http-rule/path-template.ts";
import { codePoint } from "../../arbitraries/code-point.ts";

/** Segments; variables with their first and last segment; verb. */
function describe(template: PathTemplate): string {
  const segments = template.segments.map((segment) => {
    if (segment.kind === "literal") return segment.text;
    return segment.kind === "any" ? "*" : "**";
  });
  const variables = template.variables.map(
    ({ fieldPath, start, end }) => `${fieldPath.join(".")}=${start}..${end - 1}`,
  );
  return [segments.join(" "), variables.join(" "), template.verb].join(" | ");
}

const accepted = [
  ["/", " |  | "],
  ["/a:foo", "a |  | foo"],
  ["/*/a/**", "* a ** |  | "],
  ["/a/{a.b.c}", "a * | a.b.c=1..1 | "],
  ["/a/{b=c/*/d}", "a c * d | b=1..3 | "],
  ["/a/{b=c/**/d}/e:verb", "a c ** d e | b=1..3 | verb"],
  ["/{x.y.z=*/*}:verb", "* * | x.y.z=0..1 | verb"],
  ["/{x}", "* | x=0..0 | "],
  ["/{x=**}", "** | x=0..0 | "],
  ["/{x=lit}/{_y1}", "lit * | x=0..0 _y1=1..1 | "],
  ["/{name}:bla:baa", "* | name=0..0 | bla:baa"],
  ["/a/**/b/c", "a ** b c |  | "],
  ["/a/{x=b/**}/{y=c}", "a b ** c | x=1..2 y=3..3 | "],
  // A colon before the last segment belongs to its literal.
  ["/urn:x/{id}", "urn:x * | id=1..1 | "],
  // Literals and verbs are normalised.
  ["/%61%2db/%2f/caf%c3%a9:%76", "a-b %2F caf%C3%A9 |  | v"],
  ["/café/a%20b/%22", "caf%C3%A9 a%20b %22 |  | "],
  ["/!$&'()+,;=@~", "!$&'()+,;=@~ |  | "],
] as const;

test("templates of the grammar are parsed", () => {
  for (const [text, expected] of accepted) {
    const template = parsePathTemplate(text);
    assert.equal(describe(template), expected, text);
    assert.equal(template.text, text);
  }
});

test("a variable knows its column", () => {
  assert.deepEqual(
    parsePathTemplate("/a/{x}/{y=b/*}").variables.map(({ column }) => column),
    [4, 8],
  );
});

const refused = [
  ["", 1, /starts with "\/"/],
  ["a", 1, /starts with "\/"/],
  ["a/b", 1, /starts with "\/"/],
  ["{x}", 1, /starts with "\/"/],
  ["{x=/a}", 1, /starts with "\/"/],
  ["//", 2, /empty segment/],
  ["/a//b", 4, /empty segment/],
  ["/a/", 4, /empty segment/],
  ["/a/:verb", 4, /empty segment/],
  ["/:verb", 2, /empty segment/],
  ["/{}", 3, /field name/],
  ["/a/{", 5, /field name/],
  ["/a/{x", 6, /expected "}"/],
  ["/a/{x.", 7, /field name/],
  ["/a/{1x}", 5, /field name/],
  ["/a/{x-y}", 6, /expected "}"/],
  ["/a/{x=}", 7, /empty segment/],
  ["/a/{x=/b}", 7, /empty segment/],
  ["/a/{x=b/}", 9, /empty segment/],
  ["/a/{x=b", 8, /expected "}"/],
  ["/a}", 3, /without "{"/],
  ["/a{x}", 3, /whole segment/],
  ["/{x}a", 5, /whole segment/],
  ["/a/b{x}c/s", 5, /whole segment/],
  ["/{x}a{y}", 5, /whole segment/],
  ["/{x}{y}", 5, /whole segment/],
  ["/a/{x=b:verb}", 8, /verb may not stand inside/],
  ["/a/{x=*:verb}", 8, /verb may not stand inside/],
  ["/:", 2, /empty segment/],
  ["/*:", 3, /empty verb/],
  ["/{x}:", 5, /empty verb/],
  ["/a/**:", 6, /empty verb/],
  ["/*:v/a", 5, /verb ends the template/],
  ["/a:{x}", 4, /literal text/],
  ["/a/***", 6, /whole segment/],
  ["/a/{x=1*}", 8, /whole segment/],
  ["/a/{x=*1}", 8, /whole segment/],
  ["/a/**/*", 7, /follow "\*\*"/],
  ["/a/**/foo/**", 11, /follow "\*\*"/],
  ["/a/**/{x}", 7, /follow "\*\*"/],
  ["/a/{x=b/**}/{y=*}", 16, /follow "\*\*"/],
  ["/{x=a/{y=b}}", 7, /may not contain a variable/],
  ["/{x={y}}", 5, /may not contain a variable/],
  ["/a/{x}/b/{x}", 10, /bound twice/],
  ["/{a.b}/{a.b}", 8, /bound twice/],
  ["/a?b=c", 3, /write %3F/],
  ["/a#b", 3, /write %23/],
  ["/a/b c", 5, /%20 never occurs in a path; percent-encode it: write %20/],
  ['/a/"', 4, /percent-encode it: write %22/],
  ["/a\n", 3, /write %0A/],
  ["/a\0", 3, /write %00/],
  ["/a\u007f", 3, /write %7F/],
  ["/a[1]", 3, /write %5B/],
  ["/a\\b", 3, /write %5C/],
  ["/a/{x=b c/*}", 8, /write %20/],
  ["/a/{x}:v w", 9, /write %20/],
  ["/a\u0085", 3, /write %C2%85/],
  ["/a\u00a0b", 3, /write %C2%A0/],
  ["/a\ud800", 3, /write %EF%BF%BD/],
  ["/a/%zz", 4, /percent-encoding/],
  ["/a/b%4", 5, /percent-encoding/],
] as const;

test("other templates are refused with column and reason", () => {
  for (const [text, column, reason] of refused) {
    assert.throws(
      () => parsePathTemplate(text),
      (error) => {
        assert.ok(error instanceof PathTemplateError, text);
        assert.equal(error.column, column, `${text}: ${error.message}`);
        assert.match(error.reason, reason, text);
        assert.equal(error.message, `path template "${text}", column ${column}: ${error.reason}`);
        return true;
      },
    );
  }
});

test("any text is parsed or refused with a column inside it", () => {
  const piece = fc.constantFrom(
    "/",
    "{",
    "}",
    "*",
    "**",
    "=",
    ":",
    ".",
    "x",
    "a",
    "%",
    "%2F",
    "?",
    "é",
    "\ud800",
  );
  const texts = fc.oneof(
    fc.string({ unit: codePoint }),
    fc.array(piece, { maxLength: 12 }).map((list) => `/${list.join("")}`),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        parsePathTemplate(text);
      } catch (error) {
        assert.ok(error instanceof PathTemplateError);
        assert.ok(error.column >= 1 && error.column <= text.length + 1);
      }
    }),
  );
});
