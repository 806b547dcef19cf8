import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { accessFields, accessLine } from "../../../src/core/telemetry/access-line.ts";

const text = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.constantFrom('"', "\\", "\n", "ä", "\ud800", "é\u2028"),
);
const maybeText = fc.option(text, { nil: undefined });
const count = fc.nat();
const ms = fc.double({ min: 0, max: 1e9, noNaN: true });

test("a line with all members is that of JSON.stringify", () => {
  const fields = fc.record({
    time: fc.date({ noInvalidDate: true, min: new Date(0), max: new Date(4e12) }),
    request_id: maybeText,
    method: text,
    target: text,
    http_version: text,
    route: maybeText,
    rpc: maybeText,
    status: count,
    code: text,
    door: text,
    client: text,
    principal: maybeText,
    bytes_in: count,
    bytes_out: count,
    messages_in: count,
    messages_out: count,
    duration_ms: ms,
    ttfb_ms: fc.option(ms, { nil: undefined }),
    refused_by: maybeText,
    user_agent: maybeText,
    referer: maybeText,
    trace_id: maybeText,
    span_id: maybeText,
  });
  fc.assert(
    fc.property(fields, (one) => {
      // Another list of the same members is written by JSON.stringify.
      assert.equal(accessLine("json", one, accessFields), accessLine("json", one, [...accessFields]));
    }),
    { numRuns: 2_000 },
  );
});
