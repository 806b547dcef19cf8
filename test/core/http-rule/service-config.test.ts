import { test } from "node:test";
import assert from "node:assert/strict";
import type { HttpRule } from "../../../gen/google/api/http_pb.ts";
import { parseServiceConfig } from "../../../src/core/http-rule/service-config.ts";

const yaml = `# rules of the shop
type: google.api.Service
config_version: 3
name: shop.example.com
apis:
  - name: shop.v1.Shop
documentation:
  rules: [{ selector: shop.v1.Shop.Get, description: Gets an item }]
http:
  fully_decode_reserved_expansion: true
  rules:
    - selector: shop.v1.Shop.Get
      get: /v1/{name=items/*}
      response_body: item
      additional_bindings:
        - post: /v1/items:get
          body: "*"
        - custom: { kind: SEARCH, path: /v1/items }
    - selector: shop.v1.*
      delete: "/v1/{name=**}"
backend:
  rules:
    - selector: "*"
      deadline: 5
    - selector: shop.v1.Shop.Get
      address: grpcs://shop
      deadline: 0.25
    - selector: shop.v1.Shop.List
      jwt_audience: x
`;

function describe(rule: HttpRule): string {
  const { pattern } = rule;
  const path =
    pattern.case === "custom"
      ? `${pattern.value.kind} ${pattern.value.path}`
      : `${pattern.case} ${pattern.value}`;
  return [path, rule.body, rule.responseBody, ...rule.additionalBindings.map(describe)].join("|");
}

test("rules, decoding and deadlines are read from YAML", () => {
  const config = parseServiceConfig(yaml, "shop.yaml");
  assert.deepEqual(
    config.rules.map(({ selector, value, source }) => [selector, describe(value), source]),
    [
      [
        "shop.v1.Shop.Get",
        "get /v1/{name=items/*}||item|post /v1/items:get|*||SEARCH /v1/items||",
        "shop.yaml:12:17",
      ],
      ["shop.v1.*", "delete /v1/{name=**}||", "shop.yaml:19:17"],
    ],
  );
  assert.equal(config.fullyDecodeReservedExpansion, true);
  assert.deepEqual(config.deadlinesMs, [
    { selector: "*", value: 5000, source: "shop.yaml:23:17" },
    { selector: "shop.v1.Shop.Get", value: 250, source: "shop.yaml:25:17" },
  ]);
});

test("JSON and lowerCamelCase keys are read too", () => {
  const rule = {
    selector: "a.B.C",
    post: "/c",
    body: "*",
    responseBody: "d",
    additionalBindings: [{ get: "/e" }],
  };
  const text = JSON.stringify({ http: { rules: [rule], fullyDecodeReservedExpansion: true } }, null, "\t");
  const config = parseServiceConfig(text, "rules.json");
  assert.deepEqual(
    config.rules.map(({ value }) => describe(value)),
    ["post /c|*|d|get /e||"],
  );
  assert.equal(config.fullyDecodeReservedExpansion, true);
});

test("an empty file has no rules", () => {
  for (const text of ["", "# nothing\n", "{}", "http:\n", "http:\n  rules:\nbackend: {}\n"]) {
    const expected = { rules: [], fullyDecodeReservedExpansion: false, deadlinesMs: [] };
    assert.deepEqual(parseServiceConfig(text, "x.yaml"), expected, text);
  }
});

const refused = [
  [
    "type: google.api.Other",
    /^x\.yaml:1:7: type: expected "google\.api\.Service", found "google\.api\.Other"$/,
  ],
  ["htpp: {}", /^x\.yaml:1:1: htpp: unknown key$/],
  ["http:\n  rulez: []", /^x\.yaml:2:3: http\.rulez: unknown key$/],
  ["http: []", /^x\.yaml:1:7: http: expected a mapping$/],
  ["- a", /^x\.yaml:1:1: expected a mapping$/],
  ["http: { rules: {} }", /^x\.yaml:1:16: http\.rules: expected a list$/],
  ["http: { rules: [1] }", /^x\.yaml:1:17: http\.rules\[0\]: expected a mapping$/],
  ["http: { rules: [{ get: /a }] }", /^x\.yaml:1:17: http\.rules\[0\]: expected a selector$/],
  [
    "http: { rules: [{ selector: a.B.C, body: x }] }",
    /^x\.yaml:1:17: http\.rules\[0\]: expected one of get, put/,
  ],
  ["http: { rules: [{ selector: a.B.C, get: /a, put: /b }] }", /http\.rules\[0\]: expected one of get, put/],
  [
    "http: { rules: [{ selector: a.B.C, get: 5 }] }",
    /^x\.yaml:1:41: http\.rules\[0\]\.get: expected a string$/,
  ],
  ["http: { rules: [{ selector: a.B.C, get: }] }", /http\.rules\[0\]\.get: expected a string$/],
  ["http: { rules: [{ selector: a.B.C, custom: { kind: HEAD } }] }", /\.custom: expected kind and path$/],
  ["http: { rules: [{ selector: a.B.C, custom: { king: HEAD } }] }", /\.custom\.king: unknown key$/],
  [
    "http: { rules: [{ selector: a.B.C, get: /a, __proto__: 1 }] }",
    /http\.rules\[0\]\.__proto__: unknown key$/,
  ],
  [
    "http: { rules: [{ selector: a.B.C, get: /a, additional_bindings: [{ get: /b, selector: x }] }] }",
    /http\.rules\[0\]\.additional_bindings\[0\]\.selector: unknown key$/,
  ],
  ["http: { rules: [{ selector: a.B.C, get: /a, response_body: x, responseBody: y }] }", /given twice$/],
  [
    "http: { fully_decode_reserved_expansion: yes }",
    /fully_decode_reserved_expansion: expected true or false$/,
  ],
  [
    "backend: { rules: [{ selector: a, deadline: 5s }] }",
    /^x\.yaml:1:45: backend\.rules\[0\]\.deadline: expected a number/,
  ],
  ["backend: { rules: [{ selector: a, deadline: 0 }] }", /deadline: expected a number of seconds above 0$/],
  [
    "backend: { rules: [{ selector: a, deadline: .inf }] }",
    /deadline: expected a number of seconds above 0$/,
  ],
  ["backend: { rules: [{ selector: a, dedline: 1 }] }", /backend\.rules\[0\]\.dedline: unknown key$/],
  ["http:\n  rules: []\n  rules: []", /^x\.yaml:3:3: .*unique/],
  ["http: {", /^x\.yaml:1:\d+: /],
  ["a: b: c", /^x\.yaml:1:\d+: /],
] as const;

test("anything else is refused with file, line and column", () => {
  for (const [text, message] of refused) {
    assert.throws(() => parseServiceConfig(text, "x.yaml"), { message }, text);
  }
});
