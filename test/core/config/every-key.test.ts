import assert from "node:assert/strict";
import { test } from "node:test";
import { Unit } from "../../../gen/ts_ms/config/v1/key_pb.ts";
import { environmentNames } from "../../../src/core/config/loader/environment.ts";
import { keyTexts } from "../../../src/core/config/loader/key-texts.ts";
import { keyTree, type KeyField, type KeySection } from "../../../src/core/config/loader/key-tree.ts";
import { specialFlags } from "../../../src/core/config/loader/special-flags.ts";
import type { LoadedConfig } from "../../../src/entries/config.ts";
import { loadConfig } from "../../../src/index.ts";
import { ConfigFiles } from "./config-files.ts";

const root = keyTree();

interface Leaf {
  readonly key: KeyField;
  /** With a name for the entries of maps; lists of sections end it. */
  readonly path: readonly string[];
}

/** Every key that has a value of its own, and lists of sections as a whole. */
function leavesOf(section: KeySection, path: readonly string[] = []): readonly Leaf[] {
  return section.fields.flatMap((key): readonly Leaf[] => {
    const keyPath = [...path, key.name];
    if (key.section === undefined || key.shape === "list") return [{ key, path: keyPath }];
    return leavesOf(key.section, key.shape === "map" ? [...keyPath, "one"] : keyPath);
  });
}

/** All leaves; each that is below an entry has an entry of its own. */
const leaves = leavesOf(root).map(({ key, path }, index): Leaf => ({
  key,
  path: path.map((name) => (name === "one" ? `k${index}` : name)),
}));

function isBelowEntry({ path }: Leaf): boolean {
  return path.some((name) => /^k\d+$/.test(name));
}

const samples: Readonly<Partial<Record<Unit, string>>> = {
  [Unit.DURATION]: "61s",
  [Unit.SIZE]: "5KiB",
  [Unit.RATE]: "7/1m",
  [Unit.PORT]: "77",
  [Unit.RATIO]: "0.25",
  [Unit.HOST]: "a.example",
  [Unit.FILE]: "/a/file",
  [Unit.FOLDER]: "/a/folder",
  [Unit.URL]: "http://a.example/",
  [Unit.CIDR]: "10.1.0.0/16",
  [Unit.PATH]: "/a",
};

/** A value of a key, another one than its default, as a text. */
function sampleOf({ option, type, name }: KeyField): string {
  if (name === "pong_wait") return "62s"; // Longer than `ping_period`.
  if (option?.min !== undefined && option.unit === Unit.UNSPECIFIED) return String(option.min + 4);
  const word = option?.choices.find((choice) => choice !== option.default);
  if (word !== undefined) return word;
  if (type === "enum") return "UNAVAILABLE";
  if (type === "bool") return option?.default === "true" ? "false" : "true";
  const unit = samples[option?.unit ?? Unit.UNSPECIFIED];
  if (unit !== undefined) return unit;
  return type === "text" ? `a-${name}` : "4";
}

/** The text of a value in JSON, which is YAML too. */
function literalOf(key: KeyField): string {
  const { section } = key;
  if (section === undefined) {
    const value = JSON.stringify(sampleOf(key));
    return key.shape === "list" ? `[${value}]` : key.shape === "map" ? `{"one": ${value}}` : value;
  }
  const members = section.fields.map((child) => {
    const literal = literalOf(child);
    return `${JSON.stringify(child.name)}: ${literal}`;
  });
  const object = `{${members.join(", ")}}`;
  return key.shape === "list" ? `[${object}]` : object;
}

/** What must stand beside a key so that its section is complete. */
const companions: readonly (readonly [prefix: string, settings: readonly string[]])[] = [
  ["auth.providers.one.jwt.", ["auth.providers.one.jwt.issuer=i", "auth.providers.one.jwt.audiences=a"]],
  ["auth.providers.one.api_key.", ["auth.providers.one.api_key.keys_file=k"]],
  ["auth.providers.one.basic.", ["auth.providers.one.basic.users_file=u"]],
  [
    "auth.providers.one.introspection.",
    [
      "auth.providers.one.introspection.endpoint=http://a",
      "auth.providers.one.introspection.client_id=c",
      "auth.providers.one.introspection.client_secret=s",
    ],
  ],
  ["limits.one.", ["limits.one.key=ip", "limits.one.rate=1/1s"]],
  ["openapi.security.one.", ["openapi.security.one.type=oauth2"]],
  ["upstreams.one.", ["upstreams.one.target=a:1"]],
  ["upstreams.one.contract.paths", ["upstreams.one.contract.proto=a"]],
];

/** Of the keys that must be there where their section is, or another key. */
const always = [
  "ext_authz.target=b:1",
  "openapi.external_docs.url=http://b",
  "openapi.license.name=b",
  "signatures.verify.keys_file=b",
  "stores.redis.url=redis://b",
];
const needed = [...always, "tls.cert=b", "tls.key=b", "tls.ca=b", "stores.redis.master=b", "upstream.host=b"];

function companionsOf({ path }: Leaf): readonly string[] {
  const entry = path.find((name) => /^k\d+$/.test(name)) ?? "one";
  const text = path.join(".").replace(entry, "one");
  const settings = companions.flatMap(([prefix, found]) => (text.startsWith(prefix) ? found : []));
  return settings.map((setting) => setting.replace(".one.", `.${entry}.`));
}

function settingsOf(texts: readonly string[]): readonly string[] {
  return texts.flatMap((text) => ["--set", text]);
}

/** All companions, but for the keys themselves. */
const beside = leaves.flatMap((leaf) =>
  companionsOf(leaf).filter((setting) => !setting.startsWith(`${leaf.path.join(".")}=`)),
);

async function loadAll(): Promise<
  Readonly<Record<"file" | "set" | "environment" | "without", LoadedConfig>>
> {
  const whole: Record<string, unknown> = {};
  for (const { key, path } of leaves) {
    let section = whole;
    for (const name of path.slice(0, -1)) section = (section[name] ??= {}) as Record<string, unknown>; // Made here.
    section[path.at(-1) ?? ""] = JSON.parse(literalOf(key));
  }
  using files = new ConfigFiles({ "config.json": JSON.stringify(whole) });
  const env: Record<string, string> = {};
  for (const [name, { key }] of environmentNames(root).own) {
    if (name === "TS_MS_ZONE") continue; // Another name of a key that has one.
    env[name] = key.shape === "map" ? `one=${sampleOf(key)}` : sampleOf(key);
  }
  const sets = leaves.map(({ key, path }) => {
    const isMany = key.section !== undefined || key.shape !== "single";
    return `${path.join(".")}=${isMany ? literalOf(key) : sampleOf(key)}`;
  });
  const companionsOfAll = leaves.flatMap(companionsOf);
  return {
    file: await files.load({ argv: settingsOf(beside) }),
    set: await loadConfig({ argv: settingsOf([...beside, ...sets]), env: {} }),
    environment: await loadConfig({ argv: [], env }),
    without: await loadConfig({ argv: settingsOf([...needed, ...companionsOfAll]), env: {} }),
  };
}

function valueIn({ config }: LoadedConfig, { path }: Leaf): unknown {
  let value: unknown = config;
  for (const name of path) {
    const local = name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
    value = (value as Readonly<Record<string, unknown>> | undefined)?.[local]; // As the keys are made.
  }
  return value;
}

const loads = await loadAll();

for (const leaf of leaves) {
  const path = leaf.path.join(".");
  test(`${path} loads from a file, by --set and from the environment`, () => {
    const value = valueIn(loads.file, leaf);
    assert.notEqual(value, undefined);
    assert.deepEqual(valueIn(loads.set, leaf), value);
    const hasName = leaf.key.section === undefined && !isBelowEntry(leaf);
    if (hasName) assert.deepEqual(valueIn(loads.environment, leaf), value);
    assert.notDeepEqual(valueIn(loads.without, leaf), value, "the sample is the default");
  });
}

test("what --print-config prints of every key loads again", async () => {
  for (const loaded of Object.values(loads)) {
    using files = new ConfigFiles({ "config.yaml": loaded.print() });
    const again = await files.load();
    assert.equal(again.print("json"), loaded.print("json"));
    using json = new ConfigFiles({ "config.json": loaded.print("json") });
    const { config } = await json.load();
    assert.deepEqual(config, again.config);
    for (const leaf of leaves) {
      if (!leaf.key.secret)
        assert.deepEqual(valueIn(again, leaf), valueIn(loaded, leaf), leaf.path.join("."));
    }
  }
});

test("every key has a text, and a default unless it is optional or must be set", () => {
  const visit = (section: KeySection): void => {
    for (const key of section.fields) {
      const name = `${key.owner}.${key.name}`;
      assert.ok((keyTexts[name] ?? "").length > 10, `${name} has no comment`);
      if (key.section !== undefined) {
        visit(key.section);
        continue;
      }
      const isText = key.shape === "single" && key.type === "text" && !key.isOptional;
      const { option } = key;
      if (isText)
        assert.ok(option?.required === true || option?.default !== undefined, `${name} has no default`);
      if (key.isOptional) assert.equal(option?.default, undefined, name);
    }
  };
  visit(root);
});

test("names in the environment and flags are unique", () => {
  const own = leaves.filter((leaf) => leaf.key.section === undefined && !isBelowEntry(leaf));
  const names = own.map(({ path }) => path.join("_").toUpperCase());
  assert.equal(new Set(names).size, names.length);
  const flags = leaves.flatMap(({ key }) => {
    const { flag = "", programs = [] } = key.option ?? {};
    return flag === "" ? [] : [`${flag} ${programs.join(",")}`];
  });
  assert.equal(new Set(flags).size, flags.length);
  for (const name of Object.keys(specialFlags)) {
    assert.ok(!flags.includes(`${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} `), name);
  }
});

test("sections that are marked always are there", async () => {
  const { config } = await loadConfig({ argv: [], env: {} });
  const there = root.fields.flatMap(({ option, localName }) => (option?.always === true ? [localName] : []));
  assert.deepEqual(
    there,
    ["app", "clients", "http", "grpc", "websocket", "sse", "telemetry", "overload", "validation"],
    "as `Config` says",
  );
  const found = Object.keys(config).filter((name) => !name.startsWith("$"));
  assert.deepEqual(new Set(found), new Set([...there, "limits", "upstreams", "policies", "traffic"]));
});
