import assert from "node:assert/strict";
import { test } from "node:test";
import {
  filterBaggage,
  formatTraceparent,
  parseTraceparent,
  parseTracestate,
} from "../../../src/core/metadata/trace-context.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const span = "b7ad6b7169203331";
const good = { traceId: trace, spanId: span, sampled: true };

test("L03: traceparent is read by the rules of W3C Trace Context 2", () => {
  const table: readonly (readonly [string | string[] | undefined, typeof good | undefined])[] = [
    [`00-${trace}-${span}-01`, good],
    [`00-${trace}-${span}-00`, { ...good, sampled: false }],
    [`00-${trace}-${span}-03`, good],
    [`cc-${trace}-${span}-01`, good],
    [`cc-${trace}-${span}-01-what-the-future-holds`, good],
    [`cc-${trace}-${span}-01.what`, undefined],
    [`cc-${trace}-${span}-01what`, undefined],
    [`00-${trace}-${span}-01-`, undefined],
    [`00-${trace}-${span}-011`, undefined],
    [`ff-${trace}-${span}-01`, undefined],
    [`00-${"0".repeat(32)}-${span}-01`, undefined],
    [`00-${trace}-${"0".repeat(16)}-01`, undefined],
    [`00-${trace.toUpperCase()}-${span}-01`, undefined],
    [`00-${trace}-${span}-0`, undefined],
    [`00-${trace}-${span}-0x`, undefined],
    [`00-${trace}-${span}-01, 00-${trace}-${span}-01`, undefined],
    [[`00-${trace}-${span}-01`, `00-${trace}-${span}-01`], undefined],
    ["", undefined],
    [undefined, undefined],
  ];
  for (const [value, expected] of table) assert.deepEqual(parseTraceparent(value), expected, String(value));
  assert.equal(formatTraceparent(good), `00-${trace}-${span}-01`);
});

test("L03: of a tracestate with 40 members the last 8 are left out, and a malformed one as a whole", () => {
  const members = Array.from({ length: 40 }, (_, i) => `k${i}=v${i}`);
  assert.equal(parseTracestate(members.join(",")), members.slice(0, 32).join(","));
  assert.equal(parseTracestate("a=1, b=2 ,,c=3"), "a=1,b=2,c=3");
  assert.equal(parseTracestate("t1@v=x,*/-_=y"), undefined);
  assert.equal(parseTracestate("1tenant@vendor=x"), "1tenant@vendor=x");
  for (const bad of ["a", "A=1", "a=1,a=2", "a=1=2", "a=\u0001", `${"a".repeat(257)}=1`, "=1"]) {
    assert.equal(parseTracestate(bad), undefined, bad);
  }
  const long = Array.from({ length: 5 }, (_, i) => `k${i}=${"x".repeat(150)}`);
  assert.equal(parseTracestate(long.join(",")), long.slice(0, 3).join(","));
  assert.equal(parseTracestate(null), undefined);
  assert.equal(parseTracestate(" , "), undefined);
});

test("only the baggage that is named goes on, 64 members and 8 KiB of it", () => {
  const names = new Set(["tenant", "k"]);
  assert.equal(filterBaggage("tenant=a;p=1, other=b,k = c", names), "tenant=a;p=1,k = c");
  assert.equal(filterBaggage("other=b", names), undefined);
  assert.equal(filterBaggage("tenant=a", new Set()), undefined);
  const many = Array.from({ length: 100 }, () => "k=1").join(",");
  assert.equal(filterBaggage(many, names)?.split(",").length, 64);
  assert.equal(filterBaggage(`k=${"x".repeat(8000)},k=${"x".repeat(300)}`, names)?.length, 8002);
});
