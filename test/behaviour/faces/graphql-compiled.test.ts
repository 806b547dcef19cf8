/** Operations are compiled: what they give is what graphql-js gives, with the same calls. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { builtContract } from "../../support/built-contract.ts";
import { GraphqlHost, type GraphqlAnswer } from "../../support/graphql-host.ts";
import { kindsProto } from "../../support/kinds-contract.ts";
import { KindsCalls, kindsServices } from "../../support/kinds-service.ts";

const built = builtContract({ "kinds.proto": kindsProto });
const calls = new KindsCalls();
const [kinds = assert.fail(), books = assert.fail()] = kindsServices(built, calls);
const kindsType = built.types.find(({ typeName }) => typeName === "kinds.v1.Kinds") as DescMessage; // It is there.

/** Has lists in lists, and what has no JSON if the request says so. */
function echo(request: Message): Message {
  calls.rpcs.push("Echo");
  const { int, text } = request as unknown as { int: number; text: string }; // Kinds.
  if (int === 99) return create(kindsType, { exact: Number.NaN, text, more: [{ single: Infinity }] });
  if (int === 98) return create(kindsType, { at: { seconds: 1n << 60n } });
  return request;
}

const kindsArgs = `truth: true, text: "\\u0000 \\"quoted\\" ä \\ud83d\\ude00 and long", data: "AP8=", long: "-9223372036854775808",
  single: 0.1, exact: -0.0, kind: GOOD, kinds: [KIND_UNSPECIFIED, true_], words: [{key: "b", value: "1"}], nothing: null,
  parts: [{key: -7, value: {text: "part", more: [{int: 1}, {int: 2}]}}], flags: [{key: true, value: 3}], values: [null, 1],
  choice: {choiceKinds: {text: "inner"}}, at: "2026-01-02T03:04:05Z", struct: {a: [1]}, wrapped: 0, more: [{int: 5}, {}]`;

/** Queries, with their variables. */
const queries: readonly (readonly [query: string, variables?: Readonly<Record<string, unknown>>])[] = [
  [
    `{ echo(${kindsArgs}) { truth text data int long single exact kind kinds words { key value } nothing values at struct
    parts { key value { text more { int } } } flags { value key } wrapped lasts more { __typename int maybe } odd X
    choice { __typename ... on KindsChoiceKinds { choiceKinds { text } } ... on KindsChoiceString { choiceString } } } }`,
  ],
  [`{ a: echo(text: "1") { text } __typename b: echo(text: "2") { text t: text text } c: nothing { _ } }`],
  [
    `{ echo(more: [{int: 1}]) { more { int } ...F ... on Kinds { more { __typename } } } }
    fragment F on Kinds { more { int text ...G } } fragment G on Kinds { truth }`,
  ],
  ...[true, false].map(
    (on) =>
      [
        `query($on: Boolean!, $off: Boolean = false) { echo(text: "x") { text @include(if: $on) int @skip(if: $on)
      ... @include(if: $off) { truth } ...F @skip(if: true) size @include(if: true) } x: __typename @skip(if: $on) }
      fragment F on Kinds { long }`,
        { on },
      ] as const,
  ),
  [`{ echo(text: "x") { text @skip(if: true) } }`],
  [
    `query($more: [KindsInput!], $text: String = "given") { echo(more: $more, text: $text, kind: GOOD) { text more { text long } } }`,
    { more: [{ text: "a" }, { long: 3 }] },
  ],
  [
    `{ listCopies(pageSize: 5, keys: 2) { copies { book bookResource { title author { name } } others: otherIds } } }`,
  ],
  [`{ listCopies(pageSize: 9, keys: 9, missing: "books/missing") { copies { bookResource { title } } } }`],
  [`{ getAuthor(name: "authors/1") { ...A } } fragment A on Author { mask name }`],
  [`{ a: getBook(name: "books/missing") { name } b: getBook(name: "books/1") { name author { name } } }`],
  [
    `{ echo(int: 99) { text exact } b: echo(int: 99) { text more { int } } c: echo(int: 99) { more { single } } }`,
  ],
  [`{ echo(int: 98) { int at } }`],
  [
    `{ echo(words: [{key: "a", value: "1"}, {key: "a", value: "2"}]) { text } b: getBook(name: "books/1") { name } }`,
  ],
  ["query($int: Int!) { echo(int: $int) { int } }", { int: "no" }],
  ["query($int: Int!) { echo(int: $int) { int } }"],
  ["query($on: Boolean) { echo { int @include(if: $on) } }", {}],
  ["query A { echo { int } } query B { echo { text } }"],
];

/** Before the end of the first selection: with introspection in it, no operation is compiled. */
function withIntrospection(query: string): string {
  let depth = 0;
  const body = query.indexOf("{", query.startsWith("query(") ? query.indexOf(") {") : 0);
  const text = query.replaceAll(/"(?:[^"\\]|\\.)*"/g, (literal) => "_".repeat(literal.length));
  for (let at = body; at < query.length; at++) {
    if (text[at] === "{") depth++;
    if (text[at] === "}" && --depth === 0)
      return `${query.slice(0, at)} seen: __schema { queryType { name } } ${query.slice(at)}`;
  }
  return query;
}

test("what is compiled gives what graphql-js gives, with the same calls", async () => {
  await using host = await GraphqlHost.of([{ ...kinds, echo } as never, books]);
  const answer = async (query: string, variables: unknown): Promise<readonly unknown[]> => {
    calls.rpcs.length = 0;
    const { data, errors, status }: GraphqlAnswer = await host.ask(query, variables);
    const { seen: _, ...own } = data ?? {};
    const shown = errors?.map(({ message, path, extensions }) => ({ message, path, extensions }));
    return [status, data && own, shown, [...calls.rpcs]];
  };
  for (const [query, variables] of queries) {
    const first = await answer(query, variables);
    assert.deepEqual(first, await answer(withIntrospection(query), variables), query);
    assert.deepEqual(first, await answer(query, variables), query);
  }
});

test("mutations go on behind one that has failed, and none is made twice", async () => {
  await using host = await GraphqlHost.of([kinds, books]);
  calls.rpcs.length = 0;
  const { data, errors } = await host.ask(
    "mutation($text: String) { a: setKinds(kinds: {text: $text}) { kinds { text } } b: setKinds(kinds: {kind: UNRECOGNIZED}) { updateMask } c: setKinds(kinds: {int: 3}) { kinds { int } } }",
    { text: "first" },
  );
  assert.deepEqual(data, { a: { kinds: { text: "first" } }, b: null, c: { kinds: { int: 3 } } });
  assert.deepEqual(
    errors?.map(({ path }) => path),
    [["b"]],
  );
  assert.deepEqual(calls.rpcs, ["SetKinds", "SetKinds"]);
});

test("an operation whose fragments make it too large to be compiled is executed", async () => {
  const limits = { maxAliases: 1e9, maxCost: 1e12, listSize: 1 };
  await using host = await GraphqlHost.of([kinds, books], limits);
  const fragments = Array.from(
    { length: 12 },
    (_, at) => `fragment F${at} on Kinds { a: more { ...F${at + 1} } b: more { ...F${at + 1} } text }`,
  );
  const query = `{ echo(text: "x") { ...F0 } } ${fragments.join(" ")} fragment F12 on Kinds { int }`;
  const cpu = process.cpuUsage();
  assert.deepEqual(await host.data(query), { echo: { a: [], b: [], text: "x" } });
  assert.ok(process.cpuUsage(cpu).user < 1_000_000);
});
