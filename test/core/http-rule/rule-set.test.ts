import { test } from "node:test";
import assert from "node:assert/strict";
import { combineRules } from "../../../src/core/http-rule/rule-set.ts";
import type { RuleMode } from "../../../src/core/http-rule/rule-set.ts";
import { parseServiceConfig } from "../../../src/core/http-rule/service-config.ts";
import { buildService, on } from "../../gateway/routing/routing-fixture.ts";

const one = buildService(
  { Get: on("GET /one/{id}"), List: on("GET /one"), Plain: undefined },
  { name: "One" },
);
const two = buildService({ Get: on("GET /two/{id}") }, { name: "Two" });
const methods = [...one.methods, ...two.methods];

function combine(files: readonly string[], mode?: RuleMode) {
  return combineRules(
    methods,
    files.map((text, index) => parseServiceConfig(text, `f${index}.yaml`)),
    mode,
  );
}

/** The explicit bindings, by service and rpc. */
function explicit(files: readonly string[], mode?: RuleMode): string[] {
  return combine(files, mode)
    .bindings.filter(({ implicit }) => !implicit)
    .map(
      ({ method, httpMethod, template }) => `${method.parent.name}.${method.name} ${httpMethod} ${template}`,
    );
}

const annotated = ["One.Get GET /one/{id}", "One.List GET /one", "Two.Get GET /two/{id}"];

test("without rules the annotations count, and every rpc has its implicit path", () => {
  const { bindings } = combineRules(methods);
  assert.deepEqual(explicit([]), annotated);
  assert.deepEqual(
    bindings.filter(({ implicit }) => implicit).map(({ template }) => template),
    methods.map((method) => `/test.routing.v1.${method.parent.name}/${method.name}`),
  );
});

test("a rule replaces the annotation, the last one wins", () => {
  const first = `http: { rules: [
    { selector: test.routing.v1.One.Get, get: /first },
    { selector: test.routing.v1.One.Plain, get: /plain },
    { selector: test.routing.v1.One.Get, get: /second, additional_bindings: [{ put: /third }] }] }`;
  assert.deepEqual(explicit([first]), [
    "One.Get GET /second",
    "One.Get PUT /third",
    "One.Plain GET /plain",
    "One.List GET /one",
    "Two.Get GET /two/{id}",
  ]);
  const later = `http: { rules: [{ selector: test.routing.v1.One.Get, post: /later }] }`;
  assert.deepEqual(explicit([first, later])[0], "One.Get POST /later");
});

test("in mode add every rule counts beside the annotation", () => {
  const text = `http: { rules: [
    { selector: test.routing.v1.Two.Get, get: /first },
    { selector: test.routing.v1.Two.*, get: /second }] }`;
  assert.deepEqual(explicit([text], "add"), ["Two.Get GET /first", "Two.Get GET /second", ...annotated]);
});

test("a rule with a selector alone takes bindings away: in mode add those before it too", () => {
  const text = `http: { rules: [
    { selector: test.routing.v1.Two.Get, get: /first },
    { selector: "test.routing.v1.Two.*, test.routing.v1.One.List" },
    { selector: test.routing.v1.Two.Get, get: /second }] }`;
  const others = annotated.slice(0, 1);
  assert.deepEqual(explicit([text]), ["Two.Get GET /second", ...others]);
  assert.deepEqual(explicit([text], "add"), ["Two.Get GET /second", ...others]);
  const last = "http: { rules: [{ selector: test.routing.v1.Two.Get }] }";
  assert.deepEqual(explicit([text, last]), others);
  assert.deepEqual(explicit([text, last], "add"), others);
});

test("selectors end with a whole component as wildcard, or are lists", () => {
  const text = `backend: { rules: [
    { selector: "*", deadline: 1 },
    { selector: test.routing.v1.One.*, deadline: 2 },
    { selector: "test.routing.v1.One.List, test.routing.v1.Two.Get", deadline: 3 }] }`;
  const { deadlinesMs } = combine([text]);
  assert.deepEqual(
    methods.map((method) => deadlinesMs.get(method)),
    [2000, 3000, 2000, 3000],
  );
  assert.equal(
    combine([`backend: { rules: [{ selector: test.routing.*, deadline: 1 }] }`]).deadlinesMs.size,
    4,
  );
});

test("a selector that matches nothing is refused with its place", () => {
  for (const selector of [
    "test.routing.v1.One.Gone",
    "test.routing.v1.On*",
    "other.*",
    "test.routing.v1.One",
    "One.Get",
  ]) {
    const text = `http:\n  rules:\n    - selector: "${selector}"\n      get: /a`;
    assert.throws(() => combine(["", text]), {
      message: `f1.yaml:3:17: selector "${selector}" matches no rpc`,
    });
  }
  const list = `backend: { rules: [{ selector: "*, gone.*", deadline: 1 }] }`;
  assert.throws(() => combine([list]), /selector "gone\.\*" matches no rpc/);
});

test("a wrong rule is refused with rpc and place", () => {
  const text = `http: { rules: [{ selector: test.routing.v1.One.Get, custom: { kind: FOO, path: /a } }] }`;
  assert.throws(() => combine([text]), /test\.routing\.v1\.One\.Get \(f0\.yaml:1:29\): custom kind "FOO"/);
});

test("one file can ask for full decoding", () => {
  assert.equal(combine([""]).fullyDecodeReservedExpansion, false);
  assert.equal(
    combine(["", "http: { fully_decode_reserved_expansion: true }"]).fullyDecodeReservedExpansion,
    true,
  );
});
